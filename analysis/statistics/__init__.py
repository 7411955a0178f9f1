"""Scores, intervals, tests and label efficiency."""
