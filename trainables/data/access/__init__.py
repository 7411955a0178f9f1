"""How rasters are reached, on this machine or elsewhere."""
