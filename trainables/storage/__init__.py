"""Where a trial keeps its files: a folder, or a shared folder or bucket that all machines reach."""
