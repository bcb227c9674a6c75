"""Predicted masks in the size of the image files that they are of."""

from typing import Any

import numpy as np
from jaxtyping import UInt8

from cnnjax.data.preprocess import IGNORED
from cnnjax.data.read.framing import Box
from cnnjax.extras import installed_with
from cnnjax.tasks.segmentation.drawing import overlaid

Mask = UInt8[np.ndarray, "rows columns"]


def whole_mask(
    mask: Mask, size: tuple[int, int], seen: Box | None = None
) -> UInt8[np.ndarray, "height width"]:
    """Returns a mask of a file's size: each pixel takes the label of the nearest predicted one.

    Args:
        mask: the predicted label of each pixel that the network got.
        size: height and width of the file's image.
        seen: the part of it that the network saw; None for all. Elsewhere the label is 255.
    """
    height, width = size
    seen = seen or Box(0, 0, height, width)
    places = []
    for length, predicted in zip((seen.height, seen.width), mask.shape, strict=True):
        # The predicted pixel that holds the center of each of the file's pixels.
        places.append((2 * np.arange(length) + 1) * predicted // (2 * length))
    whole = np.full(size, IGNORED, np.uint8)
    rows = slice(seen.top, seen.top + seen.height)
    whole[rows, seen.left : seen.left + seen.width] = mask[np.ix_(*places)]
    return whole


def draw_mask(
    image: UInt8[np.ndarray, "height width 3"], mask: Mask, seen: Box | None = None
) -> Any:
    """Returns a Pillow image in gray under the colors of its labels.

    Args:
        image: RGB pixels.
        mask: the predicted label of each pixel that the network got.
        seen: the part that it saw; None for the whole image.
    """
    with installed_with("train"):
        from PIL import Image

    height, width = image.shape[:2]
    whole = whole_mask(mask, (height, width), seen)
    # What the network did not see has no color.
    return Image.fromarray(overlaid(image, np.where(whole == IGNORED, 0, whole).astype(np.uint8)))
