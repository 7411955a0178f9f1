"""What a trained network leaves beside its weights: scores of the test tiles and a picture."""
