"""Replacements of examples that cannot be read: gray images, and zeros elsewhere."""

import numpy as np

from cnnjax.data.examples import PartSpec, Spec

FILL = 128
"""Value of the uint8 pixels that replace an image that cannot be decoded."""


def blank_parts(spec: Spec, count: int) -> dict[str, np.ndarray]:
    """Returns new arrays for the parts of some examples: gray images, and zeros elsewhere.

    Args:
        spec: the form of each part.
        count: number of examples.

    Returns:
        Each part, [count, ...].
    """
    return {name: _blank(part, count) for name, part in spec.items()}


def _blank(part: PartSpec, count: int) -> np.ndarray:
    value = 0
    if part.kind == "image":
        # Images of floats are from 0 to 1.
        value = FILL if part.dtype == np.uint8 else FILL / 255
    return np.full((count, *part.shape), value, part.dtype)
