"""The built-in aerial scenes: from a seed and an area number to a picture and its reference."""
