"""Class maps as arrays and panels."""
