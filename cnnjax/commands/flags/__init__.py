"""Flags that several commands share, a file for each subject; `GROUP` is its heading in --help."""
