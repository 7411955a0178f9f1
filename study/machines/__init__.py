"""Where trials run and where their state lies: Ray, machines, databases and the storage."""
