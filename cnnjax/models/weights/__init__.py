"""Weights from other libraries, and for them."""

from cnnjax.models.weights.given import GivenArrays, given_by_variables, read_given
from cnnjax.models.weights.hub import download_pretrained
from cnnjax.models.weights.load import load_pretrained
from cnnjax.models.weights.mismatch import Mismatch, WeightsError
from cnnjax.models.weights.save import export_torchvision, save_pretrained
from cnnjax.models.weights.start import Started, start_from, start_part_from

__all__ = [
    "GivenArrays",
    "Mismatch",
    "Started",
    "WeightsError",
    "download_pretrained",
    "export_torchvision",
    "given_by_variables",
    "load_pretrained",
    "read_given",
    "save_pretrained",
    "start_from",
    "start_part_from",
]
