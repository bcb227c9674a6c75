"""The kinds of the parts of an example."""

from typing import Literal

Kind = Literal["image", "label", "mask", "boxes", "points", "count", "value"]
