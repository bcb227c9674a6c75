"""The moves that pooling rules are made of: reading the k-th element of every window, and back."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from cnnjax.ops.pool_window import PoolWindow


def read_element(x: jax.Array, where: PoolWindow, axis: int, k: int, fill: float) -> jax.Array:
    """Returns element k of every window along one spatial axis, `fill` where that is padding.

    Args:
      x: an array with the input's size along `axis + 1`.
      where: the windows.
      axis: 0 for rows, 1 for columns.
      k: which element of the window.
      fill: the value of the padding.

    Returns:
      `x` with the output's size along `axis + 1`.
    """
    start = k * where.dilation[axis] - where.pads[axis][0]
    stride, outputs, size = where.strides[axis], where.output[axis], where.size[axis]
    stop = start + (outputs - 1) * stride + 1
    x = lax.pad(
        x,
        jnp.asarray(fill, x.dtype),
        [
            (max(-start, 0), max(stop - size, 0), 0) if i == axis + 1 else (0, 0, 0)
            for i in range(4)
        ],
    )
    first = max(start, 0)
    return lax.slice_in_dim(x, first, first + stop - start, stride, axis + 1)


def scatter_elements(
    element: Callable[[int], jax.Array], where: PoolWindow, axis: int
) -> jax.Array:
    """Adds element k of every window back to where it was read: the transpose of `read_element`.

    The inputs fall into one phase per residue of their position modulo the stride. Every phase is
    a sum of shifted arrays of the output's size; interleaved, the phases give the input's size.

    Args:
      element: maps k to an array with the output's size along `axis + 1`.
      where: the windows.
      axis: 0 for rows, 1 for columns.

    Returns:
      An array with the input's size along `axis + 1`.
    """
    stride, size, outputs = where.strides[axis], where.size[axis], where.output[axis]
    length = -(-size // stride)
    elements = [element(k) for k in range(where.window[axis])]
    phases = []
    for phase in range(min(stride, size)):
        total = None
        for k, values in enumerate(elements):
            distance = phase + where.pads[axis][0] - k * where.dilation[axis]
            if distance % stride:
                continue
            shift = distance // stride
            if shift >= outputs or shift + length <= 0:
                continue
            edges = (-shift, length + shift - outputs, 0)
            moved = lax.pad(
                values,
                jnp.zeros((), values.dtype),
                [edges if i == axis + 1 else (0, 0, 0) for i in range(4)],
            )
            total = moved if total is None else total + moved
        if total is None:
            shape = list(elements[0].shape)
            shape[axis + 1] = length
            total = jnp.zeros(shape, elements[0].dtype)
        phases.append(total)
    return _interleave(phases, size, axis + 1)


def _interleave(phases: list[jax.Array], size: int, axis: int) -> jax.Array:
    """Returns phases[p][m] at position m * len(phases) + p along `axis`, cut to `size`."""
    if len(phases) == 1:
        return lax.slice_in_dim(phases[0], 0, size, axis=axis)
    stacked = jnp.stack(phases, axis=axis + 1)
    shape = list(phases[0].shape)
    shape[axis] *= len(phases)
    return lax.slice_in_dim(stacked.reshape(shape), 0, size, axis=axis)
