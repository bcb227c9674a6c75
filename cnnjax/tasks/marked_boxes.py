"""Boxes that are drawn on a picture: plain data, for reports and for image files."""

from dataclasses import dataclass
from typing import Literal

Tone = Literal["truth", "missed", "right", "wrong"]
"""What a box is: an object, one that was missed, or a prediction that is right or wrong."""


@dataclass(frozen=True)
class MarkedBox:
    """A box on a picture.

    Attributes:
        top: upper edge, as a share of the picture's height.
        left: left edge, as a share of its width.
        bottom: lower edge.
        right: right edge.
        text: written at the box; "" for none.
        tone: what it is, which decides color and line.
    """

    top: float
    left: float
    bottom: float
    right: float
    text: str = ""
    tone: Tone = "right"
