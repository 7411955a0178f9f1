"""Training batches: where patches lie, and how they are cut."""
