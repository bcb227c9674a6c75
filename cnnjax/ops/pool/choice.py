"""Which element of each window is its maximum, as an offset in the window."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from cnnjax.ops.pool.forms import few_terms
from cnnjax.ops.pool.runs import WindowRun, join_runs, offset_pitch, read_windows, window_runs
from cnnjax.ops.pool.window import PoolWindow


def chosen_offsets(x: jax.Array, where: PoolWindow) -> jax.Array:
    """Returns which element of each window gets the gradient, as an offset: see `offset_pitch`.

    The choice is lax's: elements are compared row by row, and a later one replaces the chosen one
    unless that is greater or equal. So the first of equals is chosen. NaN is neither greater nor
    equal, so that the choice starts again after the last NaN. Padding counts as -inf.

    Each row of the window is decided separately first. `top` is the row's maximum, or NaN if it has
    one, and `held` is the value chosen in it. Comparing with `top` starts the choice again after a
    NaN, as comparing element by element would. Of large windows, the elements are compared in a
    loop.

    Args:
        x: images, (batch, height, width, channels).
        where: the windows.
    """
    return _written_out(x, where) if few_terms(where) else _searched(x, where)


def _written_out(x: jax.Array, where: PoolWindow) -> jax.Array:
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


def _searched(x: jax.Array, where: PoolWindow) -> jax.Array:
    """Returns `chosen_offsets` by a loop over the elements that lie inside the image.

    Of the padding before an image's row or column and of that behind it, one element stands for
    all: which of them is chosen makes no difference.
    """
    pitch, dtype = offset_pitch(where)[1], offset_dtype(where)
    firsts, counts = zip(*(_compared(where, axis) for axis in (0, 1)), strict=True)
    shape = (x.shape[0], *where.output, x.shape[3])

    def element(i: jax.Array, j: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Returns values, offsets, and whether each window has an element of this number."""
        values, steps, valid = x, [], []
        for axis, number in ((0, i), (1, j)):
            step = jnp.asarray(firsts[axis], jnp.int32) + number
            start = np.arange(where.output[axis]) * where.strides[axis] - where.pads[axis][0]
            place = jnp.asarray(start, jnp.int32) + step * jnp.int32(where.dilation[axis])
            inside = (place >= 0) & (place < where.size[axis])
            values = jnp.take(values, jnp.clip(place, 0, where.size[axis] - 1), axis=axis + 1)
            inside = jnp.expand_dims(inside, (0, 2, 3) if axis == 0 else (0, 1, 3))
            values = jnp.where(inside, values, jnp.asarray(-jnp.inf, x.dtype))
            steps.append(step * jnp.int32(where.dilation[axis]))
            valid.append(number < jnp.asarray(counts[axis], jnp.int32))
        offsets = steps[0][:, None] * jnp.int32(pitch) + steps[1][None, :]
        exists = valid[0][:, None] & valid[1][None, :]
        return values, offsets[None, :, :, None].astype(dtype), exists[None, :, :, None]

    columns = max(int(counts[1].max(initial=1)), 1)

    def step(number: jax.Array, chosen: tuple[jax.Array, jax.Array]):
        held, offset = chosen
        values, here, exists = element(number // columns, number % columns)
        keep = (held >= values) | ~exists
        return jnp.where(keep, held, values), jnp.where(keep, offset, here)

    # The first element is taken whatever it is, since nothing is held yet.
    values, here, _ = element(jnp.int32(0), jnp.int32(0))
    start = values, jnp.broadcast_to(here, shape)
    return lax.fori_loop(1, int(counts[0].max(initial=1)) * columns, step, start)[1]


def _compared(where: PoolWindow, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the first element of each window that is compared, and how many are."""
    starts = np.arange(where.output[axis]) * where.strides[axis] - where.pads[axis][0]
    edges = (0, where.size[axis])
    low, high = (
        np.clip(-((starts - edge) // where.dilation[axis]), 0, where.window[axis]) for edge in edges
    )
    first = np.maximum(np.minimum(low, where.window[axis] - 1) - 1, 0)
    last = np.minimum(np.maximum(high, low) + 1, where.window[axis])
    return first, last - first


def offset_dtype(where: PoolWindow) -> np.dtype:
    """Returns the smallest signed integer dtype that represents every offset of a window.

    Args:
        where: the windows.
    """
    rows, columns = offset_pitch(where)
    # A negative number makes NumPy pick a signed type.
    return np.dtype(np.min_scalar_type(-rows * columns))
