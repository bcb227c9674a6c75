"""The check of images that a network is given in memory."""

from typing import Any

import jax
import numpy as np

from cnnjax.data import DataError


def check_images(images: Any, channels: int) -> None:
    """Refuses what are no images as a dataset stores them.

    Args:
        images: the images.
        channels: how many channels the network's images have.

    Raises:
        DataError: they are no array of images, there are none, or their type or channels differ.
    """
    if not isinstance(images, np.ndarray | jax.Array):
        raise DataError(
            f"images: a {type(images).__name__} was given; give an array [examples, height, width, "
            "channels], or the paths of files to inference.predict_files"
        )
    if images.ndim != 4 or images.shape[3] != channels:
        raise DataError(
            f"images: an array {images.shape} was given; this network takes [examples, height, "
            f"width, {channels}], also for one image: give image[None]"
        )
    if 0 in images.shape:
        raise DataError(f"images: there are none in an array {images.shape}; give at least one")
    if images.dtype != np.uint8 and not jax.numpy.issubdtype(images.dtype, np.floating):
        raise DataError(
            f"images: {images.dtype} was given; give uint8 from 0 to 255, or floats as the dataset "
            "stores them"
        )
