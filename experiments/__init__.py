"""Experiments: one absl program per task, flags in, one library call."""
