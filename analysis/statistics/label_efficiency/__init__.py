"""Scores over annotations: what was annotated, areas under curves, annotations needed."""
