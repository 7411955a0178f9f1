"""A trial's life as the driver sees it."""
