"""What a person who browses a study in MLflow sees of it."""
