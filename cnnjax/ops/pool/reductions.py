"""Each window's elements combined to one, in the two forms that max and sum pooling share."""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from cnnjax.ops.pool.runs import WindowRun, join_runs, read_windows, window_runs
from cnnjax.ops.pool.window import PoolWindow


def reduce_windows(
    x: jax.Array,
    where: PoolWindow,
    combine: Callable[[jax.Array, jax.Array], jax.Array],
    empty: float,
) -> jax.Array:
    """Returns the elements of each window combined to one; padding is not read.

    Args:
        x: images, (batch, height, width, channels).
        where: the windows.
        combine: such as `lax.max`.
        empty: the value of windows wholly in padding, which have no elements.
    """

    def piece(rows: WindowRun, columns: WindowRun) -> jax.Array:
        elements = [
            read_windows(x, where, rows, columns, i, j)
            for i in range(where.window[0])
            for j in range(where.window[1])
        ]
        inside = [values for values in elements if values is not None]
        if inside:
            return functools.reduce(combine, inside)
        shape = (x.shape[0], rows.last - rows.first, columns.last - columns.first, x.shape[3])
        return jnp.full(shape, empty, x.dtype)

    return join_runs(window_runs(where, 0), window_runs(where, 1), piece)


def reduce_windows_by_lax(
    x: jax.Array,
    where: PoolWindow,
    combine: Callable[[jax.Array, jax.Array], jax.Array],
    empty: float,
) -> jax.Array:
    """Returns the same by `lax.reduce_window`, which counts padding as `empty`.

    Args:
        x: as in `reduce_windows`.
        where: as in `reduce_windows`.
        combine: `lax.max` or `lax.add`.
        empty: as in `reduce_windows`.
    """
    return lax.reduce_window(
        x,
        np.asarray(empty, x.dtype),
        combine,
        (1, *where.window, 1),
        (1, *where.strides, 1),
        ((0, 0), *where.pads, (0, 0)),
        window_dilation=(1, *where.dilation, 1),
    )
