"""Charts, their files and their place on a page."""
