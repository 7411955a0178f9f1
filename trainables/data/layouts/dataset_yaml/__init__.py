"""Tiles of a person's own, as a dataset.yaml describes them."""
