"""Trained networks again: loaded, and asked about images."""
