"""The kinds of parts that an example is made of."""

from typing import Literal

Kind = Literal["image", "label", "mask", "boxes", "points", "count", "value"]
