"""Which element of each window is its maximum, as an offset in the window."""

from __future__ import annotations

from collections.abc import Iterable

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from cnnjax.ops.pool.forms import max_form
from cnnjax.ops.pool.runs import WindowRun, join_runs, offset_pitch, read_windows, window_runs
from cnnjax.ops.pool.window import PoolWindow

Chosen = tuple[jax.Array, jax.Array, jax.Array]
"""What is known of some neighboring elements of each window: their maximum, or NaN if they have
one; the value chosen among them; and its offset."""


def chosen_offsets(x: jax.Array, where: PoolWindow) -> jax.Array:
    """Returns which element of each window gets the gradient, as an offset: see `offset_pitch`.

    The choice is lax's: elements are compared row by row, and a later one replaces the chosen one
    unless that is greater or equal. So the first of equals is chosen. NaN is neither greater nor
    equal, so that the choice starts again after the last NaN. Padding counts as -inf.

    Each row of the window is decided separately first. Comparing with its maximum starts the choice
    again after a NaN, as comparing element by element would.

    Args:
        x: images, (batch, height, width, channels).
        where: the windows.
    """
    form = max_form(where)
    if form == "two_pass":
        return offsets_of_axes(*chosen_by_axes(x, where), where)
    return _written_out(x, where) if form == "runs" else _searched(x, where)


def chosen_by_axes(x: jax.Array, where: PoolWindow) -> tuple[jax.Array, jax.Array]:
    """Returns the same choice along one axis after the other, which compares fewer elements.

    Args:
        x: images, (batch, height, width, channels).
        where: the windows.

    Returns:
        The offset along the columns of the element that each row of the image has in each window
        of columns, (batch, height, out_width, channels); and the offset along the rows of the row
        that each window chose of these, (batch, out_height, out_width, channels).
    """
    rows, columns = where.along(0, first=1), where.along(1, first=1)
    dtypes = offset_dtype(rows), offset_dtype(columns)

    def of_columns(row_run: WindowRun, column_run: WindowRun) -> Chosen:
        return _row_of(x, columns, row_run, column_run, 0, dtypes[1])

    def of_rows(row_run: WindowRun, column_run: WindowRun) -> jax.Array:
        def row(i: int) -> Chosen:
            shape = _shape(x, row_run, column_run)
            values = [_element(a, rows, row_run, column_run, i, 0) for a in (top, held)]
            return values[0], values[1], jnp.full(shape, i * rows.dilation[0], dtypes[0])

        return _folded(row(i) for i in range(rows.window[0]))[2]

    top, held, offset = join_runs(window_runs(columns, 0), window_runs(columns, 1), of_columns)
    return offset, join_runs(window_runs(rows, 0), window_runs(rows, 1), of_rows)


def offsets_of_axes(columns: jax.Array, rows: jax.Array, where: PoolWindow) -> jax.Array:
    """Returns the offsets of `chosen_offsets` for a choice along one axis after the other.

    Args:
        columns: as `chosen_by_axes` returns it.
        rows: as `chosen_by_axes` returns it.
        where: the windows.
    """
    starts = np.arange(where.output[0], dtype=np.int32) * where.strides[0] - where.pads[0][0]
    rows = rows.astype(jnp.int32)
    place = rows + jnp.asarray(starts)[None, :, None, None]
    # Which column of a row in the padding was chosen makes no difference.
    place = jnp.clip(place, 0, where.size[0] - 1)
    column = jnp.take_along_axis(columns, place, axis=1).astype(jnp.int32)
    return (rows * jnp.int32(offset_pitch(where)[1]) + column).astype(offset_dtype(where))


def _written_out(x: jax.Array, where: PoolWindow) -> jax.Array:
    def piece(rows: WindowRun, columns: WindowRun) -> jax.Array:
        decided = (
            _row_of(x, where, rows, columns, i, offset_dtype(where)) for i in range(where.window[0])
        )
        return _folded(decided)[2]

    return join_runs(window_runs(where, 0), window_runs(where, 1), piece)


def _row_of(
    x: jax.Array,
    where: PoolWindow,
    rows: WindowRun,
    columns: WindowRun,
    i: int,
    dtype: np.dtype,
) -> Chosen:
    """Returns what is known of row `i` of each window of two runs."""
    shape = _shape(x, rows, columns)
    first = i * where.dilation[0] * offset_pitch(where)[1]

    def element(j: int) -> Chosen:
        values = _element(x, where, rows, columns, i, j)
        return values, values, jnp.full(shape, first + j * where.dilation[1], dtype)

    return _folded(element(j) for j in range(where.window[1]))


def _folded(parts: Iterable[Chosen]) -> Chosen:
    """Returns what is known of several parts of each window, which follow each other."""
    (top, held, offset), *others = parts
    for next_top, next_held, next_offset in others:
        keep = held >= next_top
        held = lax.select(keep, held, next_held)
        offset = lax.select(keep, offset, next_offset)
        top = lax.max(top, next_top)
    return top, held, offset


def _element(
    x: jax.Array, where: PoolWindow, rows: WindowRun, columns: WindowRun, i: int, j: int
) -> jax.Array:
    """Returns element (i, j) of every window of two runs; padding is -inf."""
    values = read_windows(x, where, rows, columns, i, j)
    return jnp.full(_shape(x, rows, columns), -jnp.inf, x.dtype) if values is None else values


def _shape(x: jax.Array, rows: WindowRun, columns: WindowRun) -> tuple[int, int, int, int]:
    return x.shape[0], rows.last - rows.first, columns.last - columns.first, x.shape[3]


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
