"""Which pixels of the training tiles count as annotated."""
