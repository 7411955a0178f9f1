"""Confusion tables."""
