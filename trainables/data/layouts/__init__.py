"""How data sets lie on disk, and what they are."""
