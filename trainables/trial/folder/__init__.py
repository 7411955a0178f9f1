"""A trial's folder: its files, and how it ended."""
