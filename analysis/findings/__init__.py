"""Sentences of the report: what was found, and what to be wary of."""
