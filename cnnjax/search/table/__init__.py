"""A table of truth: every cell of a small space, trained and measured once."""
