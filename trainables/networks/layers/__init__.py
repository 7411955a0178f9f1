"""What the published networks are built from."""
