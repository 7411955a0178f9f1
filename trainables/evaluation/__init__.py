"""A network over whole tiles and rasters: overlapping windows, confusion matrices, maps."""
