"""Decides what to run: arms, search, selection, confirmation, tracking."""
