"""Which pixels of the training and validation tiles count as annotated."""
