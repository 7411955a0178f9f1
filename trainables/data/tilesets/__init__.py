"""Decoded tiles, shared by all trials of a machine."""
