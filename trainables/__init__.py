"""What one worker executes: data, models, the training loop; knows neither study nor analysis."""
