"""Places in an image: where chosen elements of windows are, and the values at places."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from cnnjax.ops.pool.runs import offset_pitch
from cnnjax.ops.pool.window import PoolWindow


def places(choice: jax.Array, where: PoolWindow) -> jax.Array:
    """Returns offsets within windows as places in the image, -1 for the padding.

    Args:
        choice: an offset for each window, as from `chosen_offsets`.
        where: the windows.
    """
    wide = choice.astype(jnp.int32)
    pitch = jnp.int32(offset_pitch(where)[1])
    starts = [
        (np.arange(where.output[a], dtype=np.int32) * where.strides[a] - where.pads[a][0])
        for a in (0, 1)
    ]
    row = wide // pitch + jnp.asarray(starts[0], jnp.int32)[None, :, None, None]
    column = wide % pitch + jnp.asarray(starts[1], jnp.int32)[None, None, :, None]
    height, width = where.size
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    return jnp.where(inside, row * jnp.int32(width) + column, jnp.int32(-1))


def take(x: jax.Array, places: jax.Array) -> jax.Array:
    """Returns the values of `x` at places of its images, channel by channel.

    Args:
        x: images, (batch, height, width, channels).
        places: indices `row * width + column`, (batch, any height, any width, channels).
    """
    batch, height, width, channels = x.shape
    flat = places.reshape(batch, -1, channels)
    values = jnp.take_along_axis(x.reshape(batch, height * width, channels), flat, axis=1)
    return values.reshape(places.shape)


def add_at(values: jax.Array, places: jax.Array, size: tuple[int, int]) -> jax.Array:
    """Returns images with the sums of the values at each place: the adjoint of `take`.

    Args:
        values: (batch, any height, any width, channels).
        places: indices `row * width + column` of the same shape; those below 0 are left out.
        size: height and width of the images.
    """
    batch, _, _, channels = values.shape
    pixels = size[0] * size[1]

    def image(values: jax.Array, places: jax.Array) -> jax.Array:
        # Negative indices would count from the end; those beyond the image are dropped.
        where = jnp.where(places < 0, jnp.int32(pixels), places)
        return jnp.zeros(pixels, values.dtype).at[where].add(values, mode="drop")

    flat = (batch, -1, channels)
    per_channel = jax.vmap(image, in_axes=-1, out_axes=-1)
    summed = jax.vmap(per_channel)(values.reshape(flat), places.reshape(flat))
    return summed.reshape(batch, *size, channels)
