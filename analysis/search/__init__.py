"""What the search of hyperparameters tried and found."""
