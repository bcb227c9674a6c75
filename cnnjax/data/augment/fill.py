"""What enters where an example has no pixels: a color in images, a label in masks."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Integer

Image = Float[Array, "height width channels"]
"""Pixels from 0 to 1."""

Mask = Integer[Array, "height width *one"]
"""A label for each pixel; a third axis, where there is one, has one entry."""

Fill = float | tuple[float, ...]
"""Value of a pixel from 0 to 1: one for all channels, or one for each."""

IGNORED_LABEL = 255
"""The label that losses and scores leave out: PASCAL VOC's border, torchvision's `ignore_index`."""


def filled(fill: Fill, image: Image) -> Image:
    """Returns an image of one color, of the shape and dtype of another.

    Args:
        fill: the color.
        image: an image of that shape and dtype.

    Raises:
        ValueError: `fill` has values for another number of channels.
    """
    # NumPy, since the fill is a constant of the compiled program.
    values = np.atleast_1d(np.asarray(fill, np.float32))
    channels = image.shape[-1]
    if values.size not in (1, channels):
        raise ValueError(
            f"fill: {fill} has {values.size} values for images of {channels} channels; give one "
            "for all, or one for each"
        )
    color = jnp.asarray(values, image.dtype).reshape(1, 1, -1)
    return jnp.broadcast_to(color, image.shape)


def filling_label(mask_fill: int, mask: Mask) -> Integer[Array, ""]:
    """Returns the label that enters a mask, in the mask's dtype.

    Args:
        mask_fill: the label.
        mask: a mask of that dtype.

    Raises:
        ValueError: the dtype cannot hold it.
    """
    # A label that does not fit would become another one without an error.
    limits = jnp.iinfo(mask.dtype)
    if not limits.min <= mask_fill <= limits.max:
        raise ValueError(
            f"mask_fill: a mask of {mask.dtype} cannot hold {mask_fill}; give {limits.min} to "
            f"{limits.max}, or a mask of uint8 or int32"
        )
    return jnp.asarray(mask_fill, mask.dtype)
