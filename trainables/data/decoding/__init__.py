"""From image files to arrays."""
