"""What trials cost."""
