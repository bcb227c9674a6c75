"""Changes of an image's colors by a strength from 0 to 1, as RandAugment draws them.

The definitions are those of Pillow's `ImageOps` and `ImageEnhance`.
"""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from cnnjax.data.augment.color import LUMA
from cnnjax.data.augment.fill import Image

Change = Callable[[Float[Array, ""], Image], Image]

_LEAST, _MOST = 0.05, 0.95
"""Ends of the factors of brightness, color, contrast and sharpness."""


def identity(strength: Array, image: Image) -> Image:
    """Returns the image as it is.

    Args:
        strength: not used.
        image: pixels from 0 to 1.
    """
    del strength
    return image


def autocontrast(strength: Array, image: Image) -> Image:
    """Stretches each channel to 0 … 1; a channel of one value stays as it is.

    Args:
        strength: not used.
        image: pixels from 0 to 1.
    """
    del strength
    low = image.min(axis=(0, 1), keepdims=True)
    spread = image.max(axis=(0, 1), keepdims=True) - low
    return jnp.where(spread > 0, (image - low) / jnp.where(spread > 0, spread, 1), image)


def equalize(strength: Array, image: Image) -> Image:
    """Makes the histogram of each channel flat.

    Args:
        strength: not used.
        image: pixels from 0 to 1.
    """
    del strength
    levels = jnp.round(jnp.clip(image, 0, 1) * 255).astype(jnp.int32)

    def channel(values: Array) -> Array:
        counts = jnp.zeros(256, jnp.int32).at[values.reshape(-1)].add(1)
        # The pixels of the brightest level do not count, so that it stays the brightest.
        highest = counts[values.max()]
        step = (counts.sum() - highest) // 255
        table = (jnp.cumsum(counts) - counts + step // 2) // jnp.maximum(step, 1)
        # An image of few pixels or of one level stays as it is.
        return jnp.where(step > 0, jnp.clip(table, 0, 255)[values], values)

    equalized = jax.vmap(channel, in_axes=2, out_axes=2)(levels)
    return equalized.astype(image.dtype) / 255


def posterize(strength: Array, image: Image) -> Image:
    """Keeps the first 4 to 8 bits of each value.

    Args:
        strength: 0 for 4 bits, 1 for 8.
        image: pixels from 0 to 1.
    """
    bits = 4 + jnp.minimum(jnp.floor(5 * strength), 4)
    step = jnp.exp2(8 - bits)
    levels = jnp.round(jnp.clip(image, 0, 1) * 255)
    return jnp.floor(levels / step) * step / 255


def solarize(strength: Array, image: Image) -> Image:
    """Inverts the pixels from a threshold on.

    Args:
        strength: the threshold.
        image: pixels from 0 to 1.
    """
    return jnp.where(image < strength, image, 1 - image)


def brightness(strength: Array, image: Image) -> Image:
    """Darkens the image.

    Args:
        strength: 0 for a factor of 0.05, 1 for one of 0.95.
        image: pixels from 0 to 1.
    """
    return _factor(strength) * image


def color(strength: Array, image: Image) -> Image:
    """Brings the colors nearer to gray.

    Args:
        strength: 0 for a factor of 0.05, 1 for one of 0.95.
        image: pixels from 0 to 1.
    """
    return _blend(jnp.broadcast_to(_gray(image), image.shape), image, strength)


def contrast(strength: Array, image: Image) -> Image:
    """Brings all pixels nearer to the mean gray.

    Args:
        strength: 0 for a factor of 0.05, 1 for one of 0.95.
        image: pixels from 0 to 1.
    """
    return _blend(jnp.full_like(image, _gray(image).mean()), image, strength)


def sharpness(strength: Array, image: Image) -> Image:
    """Blends the image with its blurred form, whose edge pixels are the image's own.

    Args:
        strength: 0 for a factor of 0.05, 1 for one of 0.95.
        image: pixels from 0 to 1.
    """
    height, width, _ = image.shape
    if min(height, width) < 3:  # there is no pixel with all its neighbors
        return image
    # The mean of a pixel, with a weight of 5, and its eight neighbors.
    around = sum(
        image[row : height - 2 + row, column : width - 2 + column]
        for row in range(3)
        for column in range(3)
    )
    inner = image[1:-1, 1:-1]
    blurred = image.at[1:-1, 1:-1].set((around + 4 * inner) / 13)
    return _blend(blurred, image, strength)


def _factor(strength: Array) -> Array:
    return _LEAST + (_MOST - _LEAST) * strength


def _blend(other: Image, image: Image, strength: Array) -> Image:
    return other + _factor(strength) * (image - other)


def _gray(image: Image) -> Float[Array, "height width 1"]:
    if image.shape[-1] != 3:
        return image.mean(axis=-1, keepdims=True)
    return (image * jnp.asarray(LUMA, image.dtype).reshape(1, 1, 3)).sum(axis=-1, keepdims=True)


COLORS: Mapping[str, Change] = {
    each.__name__: each
    for each in (
        *(identity, autocontrast, equalize, posterize, solarize),
        *(brightness, color, contrast, sharpness),
    )
}
"""The changes that leave every pixel where it is, by name."""
