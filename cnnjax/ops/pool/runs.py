"""Runs of windows, and of inputs, that are alike: with them, pooling rules need no padding.

Written as one expression, pooling with padding makes XLA's CPU backend write out a padded copy of
its operand. Cut into runs, the windows inside the image read it directly, and the few at the edges
skip the elements that are padding. The joined runs are one loop, which needs no further memory.
"""

from __future__ import annotations

import dataclasses
import functools
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from cnnjax.ops.pool.window import PoolWindow
from cnnjax.ops.sizes import Pair, span

Run = TypeVar("Run")
Piece = TypeVar("Piece")

FAR = 2**15
"""The longest stride in offsets, whose products stay within int32."""


@dataclasses.dataclass(frozen=True)
class WindowRun:
    """Neighboring windows along one axis with the same elements inside the image.

    Attributes:
        first: the first window.
        last: one more than the last window.
        inside: the elements of the window that lie inside the image.
    """

    first: int
    last: int
    inside: range


@dataclasses.dataclass(frozen=True)
class InputRun:
    """Neighboring inputs along one axis that the same windows contain, in blocks of one stride.

    Block m starts at padded position m * stride, where window m starts; the windows that may
    contain its inputs are m, m - 1, m - 2 …

    Attributes:
        block: the first block.
        blocks: number of blocks.
        phase: the first position within each block.
        phases: number of positions in each block.
        lags: the l for which window m - l exists and contains an input of block m.
    """

    block: int
    blocks: int
    phase: int
    phases: int
    lags: tuple[int, ...]


# Each pooling is traced several times, and each time its form and its rules need the runs.
@functools.lru_cache(256)
def window_runs(where: PoolWindow, axis: int) -> tuple[WindowRun, ...]:
    """Returns the runs of windows along one axis, in order.

    Args:
        where: the windows.
        axis: 0 for rows, 1 for columns.
    """
    runs: list[WindowRun] = []
    first = 0
    while first < where.output[axis]:
        inside = where.elements_inside(first, axis)
        last = _end_of_alike(where, axis, first, inside)
        if runs and runs[-1].inside == inside:
            runs[-1] = dataclasses.replace(runs[-1], last=last)
        else:
            runs.append(WindowRun(first, last, inside))
        first = last
    return tuple(runs)


@functools.lru_cache(256)
def input_runs(where: PoolWindow, axis: int) -> tuple[InputRun, ...]:
    """Returns the runs of inputs along one axis, in order.

    Args:
        where: the windows.
        axis: 0 for rows, 1 for columns.
    """
    stride, lags = _stride_and_lags(where, axis)
    outputs, size, low = where.output[axis], where.size[axis], where.pads[axis][0]
    runs: list[InputRun] = []
    position = 0
    while position < size:
        block, phase = divmod(position + low, stride)
        phases = min(stride - phase, size - position)
        held = lags[bisect_right(lags, block - outputs) : bisect_right(lags, block)]
        whole = phases == stride
        if runs and whole and runs[-1].phases == stride and runs[-1].lags == held:
            runs[-1] = dataclasses.replace(runs[-1], blocks=runs[-1].blocks + 1)
        else:
            runs.append(InputRun(block, 1, phase, phases, held))
        position += phases
    return tuple(runs)


def offset_pitch(where: PoolWindow) -> Pair:
    """Returns the extent of a window in whole strides, rows and columns.

    An element's offset in its window is row * pitch[1] + column, in pixels. Since the pitch covers
    whole blocks, no two positions that a block can contain share an offset.

    Args:
        where: the windows.
    """
    pitches = []
    for axis in (0, 1):
        stride = _stride(where, axis)
        pitches.append((_last_lag(where, axis, stride) + 1) * stride)
    return (pitches[0], pitches[1])


def lag_count(where: PoolWindow, axis: int) -> int:
    """Returns how many windows can contain one input, along one axis.

    Args:
        where: the windows.
        axis: 0 for rows, 1 for columns.
    """
    return min(where.window[axis], _last_lag(where, axis, _stride(where, axis)) + 1)


def join_runs(
    rows: Sequence[Run], columns: Sequence[Run], piece: Callable[[Run, Run], Piece]
) -> Piece:
    """Returns the pieces of every pair of runs, joined to one NHWC array, or to several.

    Args:
        rows: the runs of the rows, in order.
        columns: the runs of the columns, in order.
        piece: maps a run of rows and a run of columns to their part of the result, an array or a
            tuple of arrays.
    """
    lines = [_join([piece(r, c) for c in columns], 2) for r in rows]
    return _join(lines, 1)


def read_windows(
    x: jax.Array, where: PoolWindow, rows: WindowRun, columns: WindowRun, i: int, j: int
) -> jax.Array | None:
    """Returns element (i, j) of every window of two runs, or None if that is padding.

    Args:
        x: images, (batch, height, width, channels).
        where: the windows.
        rows: a run of windows along the rows.
        columns: a run of windows along the columns.
        i: row of the element in the window.
        j: column of the element in the window.
    """
    if i not in rows.inside or j not in columns.inside:
        return None
    bounds = []
    for axis, run, k in ((0, rows, i), (1, columns, j)):
        stride = where.strides[axis]
        start = run.first * stride - where.pads[axis][0] + k * where.dilation[axis]
        bounds.append((start, start + (run.last - run.first - 1) * stride + 1, stride))
    return _part(x, *bounds)


def _part(x: jax.Array, rows: tuple[int, int, int], columns: tuple[int, int, int]) -> jax.Array:
    """Returns every so-manyth row and column of images, from (first, end, step) of each.

    Both at once, since a network has thousands of such parts to be traced and compiled.
    """
    start, stop, step = zip((0, x.shape[0], 1), rows, columns, (0, x.shape[3], 1), strict=True)
    return lax.slice(x, start, stop, step)


def sum_of_holders(
    like: jax.Array,
    where: PoolWindow,
    rows: InputRun,
    columns: InputRun,
    term: Callable[[Callable[[jax.Array], jax.Array], Any, Any], jax.Array],
) -> jax.Array:
    """Returns, for every input of two runs, the sum over the windows that may contain it.

    Args:
        like: an array of the output's shape; the result has its dtype where no window contributes.
        where: the windows.
        rows: a run of inputs along the rows.
        columns: a run of inputs along the columns.
        term: maps (read, row, column) to what one window contributes; `read` maps an array of the
            output's shape to its values at that window, `row` and `column` are the input's position
            in the window, in pixels. All broadcast to (batch, blocks, phases, blocks, phases,
            channels).

    Returns:
        (batch, rows.blocks * rows.phases, columns.blocks * columns.phases, channels).
    """
    batch, _, _, channels = like.shape
    shape = (batch, rows.blocks, rows.phases, columns.blocks, columns.phases, channels)
    strides = tuple(_stride_and_lags(where, axis)[0] for axis in (0, 1))
    total = None
    for row_lag in rows.lags:
        for column_lag in columns.lags:
            first = (rows.block - row_lag, columns.block - column_lag)

            def read(values: jax.Array, first: Pair = first) -> jax.Array:
                ends = (first[0] + rows.blocks, first[1] + columns.blocks)
                part = _part(values, (first[0], ends[0], 1), (first[1], ends[1], 1))
                return lax.broadcast_in_dim(part, shape, (0, 1, 3, 5))

            row = _positions(rows, row_lag * strides[0], 2)
            column = _positions(columns, column_lag * strides[1], 4)
            given = term(read, row, column)
            total = given if total is None else total + given
    if total is None:
        total = jnp.zeros(shape, like.dtype)
    return total.reshape(
        batch, rows.blocks * rows.phases, columns.blocks * columns.phases, channels
    )


def _positions(run: InputRun, start: int, axis: int) -> jax.Array | np.ndarray:
    """Returns the positions of a run's inputs in the windows that start at `start`, along an axis.

    A single one is a number that is known while the program is traced.
    """
    shape = [1] * 6
    if run.phases == 1:
        return np.full(shape, start + run.phase, np.int32)
    shape[axis] = run.phases
    return lax.broadcasted_iota(jnp.int32, shape, axis) + jnp.int32(start + run.phase)


def _end_of_alike(where: PoolWindow, axis: int, first: int, inside: range) -> int:
    """Returns one more than a window up to which all are like the first, without a look at each."""
    stride, size = where.strides[axis], where.size[axis]
    start = first * stride - where.pads[axis][0]
    reach = span(where.window[axis], where.dilation[axis])
    if len(inside) == where.window[axis]:
        more = (size - start - reach) // stride
    elif start + reach <= 0:
        # Before the image.
        more = -(start + reach) // stride
    else:
        more = where.output[axis] if start >= size else 0
    return min(first + more + 1, where.output[axis])


def _stride_and_lags(where: PoolWindow, axis: int) -> tuple[int, tuple[int, ...]]:
    """Returns the stride, and the lags of the windows that can contain an input of a block."""
    dilation, stride = where.dilation[axis], _stride(where, axis)
    if dilation <= stride:
        # No block is passed over.
        return stride, tuple(range(_last_lag(where, axis, stride) + 1))
    return stride, tuple(k * dilation // stride for k in range(where.window[axis]))


def _stride(where: PoolWindow, axis: int) -> int:
    if where.output[axis] > 1:
        return where.strides[axis]
    # A single window has no next one, so that any stride is right; the longest makes one block.
    return max(min(where.strides[axis], FAR), span(where.window[axis], where.dilation[axis]))


def _last_lag(where: PoolWindow, axis: int, stride: int) -> int:
    return (where.window[axis] - 1) * where.dilation[axis] // stride


def _join(parts: list[Piece], axis: int) -> Piece:
    if len(parts) == 1:
        return parts[0]
    return jax.tree.map(lambda *arrays: lax.concatenate(arrays, axis), *parts)
