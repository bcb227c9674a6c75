"""What an augmentation is: a pure function of a key and an image; and what several share."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int32, Key

Image = Float[Array, "height width channels"]
Augmentation = Callable[[Key[Array, ""], Image], Image]
"""From a key and an image with pixels from 0 to 1 to such an image."""

Fill = float | tuple[float, ...]
"""A pixel's value from 0 to 1, one for all channels or one for each."""

_ATTEMPTS = 10


def chain(augmentations: list[Augmentation]) -> Augmentation:
    """Joins augmentations into one that applies them from left to right, each under its own key."""

    def apply(key: Key[Array, ""], image: Image) -> Image:
        for position, augmentation in enumerate(augmentations):
            image = augmentation(jax.random.fold_in(key, position), image)
        return image

    return apply


def check_probability(name: str, probability: float) -> None:
    """Refuses what is no probability."""
    if not 0 <= probability <= 1:
        raise ValueError(f"{name}: probability is {probability}; give 0 to 1")


def check_range(name: str, what: str, bounds: tuple[float, float], low: float, high: float) -> None:
    """Refuses bounds that are not two rising numbers above `low` and up to `high`."""
    if len(bounds) != 2 or not low < bounds[0] <= bounds[1] <= high:
        raise ValueError(
            f"{name}: {what} is {bounds}; give two rising numbers above {low}"
            + ("" if high == np.inf else f" and up to {high}")
        )


def filled(fill: Fill, image: Image) -> Image:
    """Returns an image of one colour, of the shape and dtype of another.

    Raises:
        ValueError: `fill` has values for another number of channels.
    """
    values = np.atleast_1d(np.asarray(fill, np.float32))
    channels = image.shape[-1]
    if values.size not in (1, channels):
        raise ValueError(f"fill: {fill} has {values.size} values for images of {channels} channels")
    color = jnp.asarray(values, image.dtype).reshape(1, 1, -1)
    return jnp.broadcast_to(color, image.shape)


def draw_box(
    key: Key[Array, ""],
    size: tuple[int, int],
    area: tuple[float, float],
    aspects: Float[Array, " attempts"],
) -> tuple[Bool[Array, ""], Int32[Array, "2"], Int32[Array, "2"]]:
    """Draws a box within an image by its share of the area and its aspect ratio.

    As many boxes are drawn as there are aspect ratios; the first that fits into the image counts.

    Args:
        key: the randomness.
        size: the image's height and width.
        area: bounds between which the share of the area is drawn.
        aspects: height over width of each attempt.

    Returns:
        Whether any fits; the box's top and left; its height and width.
    """
    area_key, place_key = jax.random.split(key)
    shares = jax.random.uniform(area_key, aspects.shape, minval=area[0], maxval=area[1])
    pixels = shares * float(size[0] * size[1])
    sides = jnp.stack([jnp.sqrt(pixels * aspects), jnp.sqrt(pixels / aspects)], axis=1)
    sides = jnp.round(sides).astype(jnp.int32)
    limits = jnp.asarray(size, jnp.int32)
    fits = ((sides > 0) & (sides <= limits.reshape(1, 2))).all(axis=1)
    chosen = sides[jnp.argmax(fits)]
    places = jax.random.uniform(place_key, (2,))
    corner = jnp.floor(places * (limits - chosen + 1).astype(jnp.float32)).astype(jnp.int32)
    return fits.any(), corner, chosen


def draw_aspects(
    key: Key[Array, ""], aspect: tuple[float, float], logarithmic: bool
) -> Float[Array, " attempts"]:
    """Draws aspect ratios for `draw_box`, evenly on a linear or on a logarithmic scale."""
    low, high = (np.log(aspect) if logarithmic else np.asarray(aspect)).tolist()
    drawn = jax.random.uniform(key, (_ATTEMPTS,), minval=low, maxval=high)
    return jnp.exp(drawn) if logarithmic else drawn


def inside(
    image: Image, corner: Int32[Array, "2"], sides: Int32[Array, "2"]
) -> Bool[Array, "h w 1"]:
    """Says which pixels of an image lie in a box, which may reach beyond the image."""
    rows = jnp.arange(image.shape[0]).reshape(-1, 1, 1)
    columns = jnp.arange(image.shape[1]).reshape(1, -1, 1)
    in_rows = (rows >= corner[0]) & (rows < corner[0] + sides[0])
    return in_rows & ((columns >= corner[1]) & (columns < corner[1] + sides[1]))
