"""What is learned: each task gives a loss, metric sums that add up exactly, and pictures."""

from cnnjax.tasks.classification import Classification

__all__ = ["Classification"]
