"""Examples read from disk, and the order in which they are read."""
