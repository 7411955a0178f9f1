"""Image files become arrays."""
