"""Tiles, annotation budgets and patches."""
