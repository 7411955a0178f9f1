"""What lies between the streets of a scene."""
