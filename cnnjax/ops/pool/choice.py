"""Which element of each window is its maximum: its offset in the window, its place in the image."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from cnnjax.ops.pool.runs import WindowRun, join_runs, offset_pitch, read_windows, window_runs
from cnnjax.ops.pool.window import PoolWindow


def chosen_offsets(x: jax.Array, where: PoolWindow) -> jax.Array:
    """Returns which element of each window gets the gradient, as an offset: see `offset_pitch`.

    The choice is lax's: elements are compared row by row, and a later one replaces the chosen one
    unless that is greater or equal. So the first of equals is chosen. NaN is neither greater nor
    equal, so that the choice starts again after the last NaN. Padding counts as -inf.

    Each row of the window is decided separately first. `top` is the row's maximum, or NaN if it has
    one, and `held` is the value chosen in it. Comparing with `top` starts the choice again after a
    NaN, as comparing element by element would.

    Args:
        x: images, (batch, height, width, channels).
        where: the windows.
    """
    pitch = offset_pitch(where)[1]
    dtype = offset_dtype(where)

    def piece(rows: WindowRun, columns: WindowRun) -> jax.Array:
        shape = (x.shape[0], rows.last - rows.first, columns.last - columns.first, x.shape[3])
        padding = jnp.full(shape, -jnp.inf, x.dtype)

        def element(i: int, j: int) -> jax.Array:
            values = read_windows(x, where, rows, columns, i, j)
            return padding if values is None else values

        def decide_row(i: int):
            top = held = element(i, 0)
            offset = jnp.full(shape, i * where.dilation[0] * pitch, dtype)
            for j in range(1, where.window[1]):
                values = element(i, j)
                here = (i * where.dilation[0] * pitch) + j * where.dilation[1]
                offset = jnp.where(held >= values, offset, jnp.asarray(here, dtype))
                held = jnp.where(held >= values, held, values)
                top = lax.max(top, values)
            return top, held, offset

        _, held, offset = decide_row(0)
        for i in range(1, where.window[0]):
            row_top, row_held, row_offset = decide_row(i)
            keep = held >= row_top
            held = jnp.where(keep, held, row_held)
            offset = jnp.where(keep, offset, row_offset)
        return offset

    return join_runs(window_runs(where, 0), window_runs(where, 1), piece)


def offset_dtype(where: PoolWindow) -> np.dtype:
    """Returns the smallest signed integer dtype that represents every offset of a window.

    Args:
        where: the windows.
    """
    rows, columns = offset_pitch(where)
    # A negative number makes NumPy pick a signed type.
    return np.dtype(np.min_scalar_type(-rows * columns))


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
