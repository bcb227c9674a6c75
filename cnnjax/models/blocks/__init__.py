"""Blocks and other parts of which networks are made."""
