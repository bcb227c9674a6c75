"""Weights from other libraries, and for them."""

from cnnjax.models.weights.hub import download_pretrained
from cnnjax.models.weights.load import load_pretrained
from cnnjax.models.weights.mismatch import Mismatch, WeightsError
from cnnjax.models.weights.save import export_torchvision, save_pretrained

__all__ = [
    "Mismatch",
    "WeightsError",
    "download_pretrained",
    "export_torchvision",
    "load_pretrained",
    "save_pretrained",
]
