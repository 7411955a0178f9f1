"""One trial: what Ray Tune calls, in one process or as a group of workers."""
