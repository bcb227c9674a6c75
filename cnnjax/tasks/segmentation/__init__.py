"""Segmentation: a class for each pixel."""

from cnnjax.tasks.segmentation.segmentation import Segmentation

__all__ = ["Segmentation"]
