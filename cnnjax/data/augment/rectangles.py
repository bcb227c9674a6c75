"""Random rectangles within an image."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Int32, Key

# As many as in torchvision.
_ATTEMPTS = 10


def draw_rectangle(
    key: Key[Array, ""],
    size: tuple[int, int],
    area: tuple[float, float],
    aspects: Float[Array, " attempts"],
) -> tuple[Bool[Array, ""], Int32[Array, "2"], Int32[Array, "2"]]:
    """Draws a rectangle within an image by its share of the area and its aspect ratio.

    One is drawn for each aspect ratio; the first that fits into the image is chosen.

    Args:
        key: a random key.
        size: the image's height and width.
        area: bounds between which the share of the area is drawn.
        aspects: height over width of each attempt.

    Returns:
        Whether any fits; the top and left of the chosen rectangle; its height and width.
    """
    area_key, place_key = jax.random.split(key)
    shares = jax.random.uniform(
        area_key, aspects.shape, jnp.float32, minval=area[0], maxval=area[1]
    )
    pixels = shares * float(size[0] * size[1])
    sides = jnp.stack([jnp.sqrt(pixels * aspects), jnp.sqrt(pixels / aspects)], axis=1)
    sides = jnp.round(sides).astype(jnp.int32)
    limits = jnp.asarray(size, jnp.int32)
    fits = ((sides > 0) & (sides <= limits.reshape(1, 2))).all(axis=1)
    # `argmax` gives the first that fits, or 0 where none does.
    chosen = sides[jnp.argmax(fits)]
    places = jax.random.uniform(place_key, (2,), jnp.float32)
    corner = jnp.floor(places * (limits - chosen + 1).astype(jnp.float32)).astype(jnp.int32)
    return fits.any(), corner, chosen


def draw_aspects(
    key: Key[Array, ""], aspect: tuple[float, float], logarithmic: bool
) -> Float[Array, " attempts"]:
    """Draws aspect ratios for `draw_rectangle`.

    Args:
        key: a random key.
        aspect: bounds of height over width.
        logarithmic: whether they are drawn evenly on a logarithmic scale, instead of a linear one.
    """
    low, high = (np.log(aspect) if logarithmic else np.asarray(aspect)).tolist()
    drawn = jax.random.uniform(key, (_ATTEMPTS,), jnp.float32, minval=low, maxval=high)
    return jnp.exp(drawn) if logarithmic else drawn


def inside(
    size: tuple[int, int], corner: Int[Array, "2"], sides: Int[Array, "2"]
) -> Bool[Array, "height width 1"]:
    """Returns which pixels of an image lie in a rectangle, which may reach beyond the image.

    Args:
        size: the image's height and width.
        corner: the rectangle's top and left.
        sides: the rectangle's height and width.
    """
    rows = jnp.arange(size[0]).reshape(-1, 1, 1)
    columns = jnp.arange(size[1]).reshape(1, -1, 1)
    in_rows = (rows >= corner[0]) & (rows < corner[0] + sides[0])
    return in_rows & ((columns >= corner[1]) & (columns < corner[1] + sides[1]))
