"""A trained network over rasters of any size."""
