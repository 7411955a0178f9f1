"""What stands in a scene: buildings, cars, trees."""
