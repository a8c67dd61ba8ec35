"""Files of a dataset on every file system, and who holds its folder."""
