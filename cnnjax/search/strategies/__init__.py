"""Strategies: how the next cell is proposed from those that were evaluated."""
