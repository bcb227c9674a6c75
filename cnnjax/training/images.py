"""Image files brought to the form of a dataset's images."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from cnnjax.training.errors import ConfigError

_MODES = {1: "L", 3: "RGB"}


def read_images(
    paths: Sequence[str | Path], shape: tuple[int, int, int], invert: bool = False
) -> UInt8[np.ndarray, "images height width channels"]:
    """Reads image files, each cropped to the shape's proportions at its centre, then resized.

    Args:
        paths: files in any format that Pillow reads.
        shape: height, width and channels (1 or 3) of a dataset's image.
        invert: swap light and dark.

    Returns:
        uint8 images [images, height, width, channels].

    Raises:
        ConfigError: files do not exist or are no images; all of them are named.
    """
    from PIL import Image, ImageOps

    height, width, channels = shape
    images, problems = [], []
    for path in paths:
        try:
            with Image.open(path) as image:
                upright = ImageOps.exif_transpose(image).convert(_MODES[channels])
        except OSError as error:
            problems.append(f"{path}: {error}")
            continue
        # Pillow's bilinear filter averages over the whole footprint when it shrinks.
        fitted = ImageOps.fit(upright, (width, height), Image.Resampling.BILINEAR)
        pixels = np.asarray(fitted, np.uint8).reshape(shape)
        images.append(255 - pixels if invert else pixels)
    if problems:
        raise ConfigError("cannot read as an image:\n  " + "\n  ".join(problems))
    return np.stack(images)
