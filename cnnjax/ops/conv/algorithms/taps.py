"""What the formulations share: zero padding, shifted views, taps, products with wide sums."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

from cnnjax.ops import sizes
from cnnjax.ops.accumulation import sum_dtype

LARGE = 2**17
"""Entries of a matrix from which its transposition is avoided; measured."""


def product(left: jax.Array, right: jax.Array, precision: lax.PrecisionLike = None) -> jax.Array:
    """Returns the matrix product, summed in `sum_dtype` and rounded once.

    Args:
        left: the left matrix, whose dtype the result has.
        right: the right matrix.
        precision: lax's precision of the product.
    """
    wide = sum_dtype(left.dtype)
    return jnp.dot(left, right, precision=precision, preferred_element_type=wide).astype(left.dtype)


def product_with_transpose(
    left: jax.Array, right: jax.Array, precision: lax.PrecisionLike = None
) -> jax.Array:
    """Returns left rightᵀ, on CPU as (right leftᵀ)ᵀ where `right` is large and `left` is short.

    XLA's CPU compiler is slow at products with a transposed right side: 634 against 32 ms for
    4x4096 times the transpose of 25088x4096 on two cores. The barrier keeps it from going back to
    that form.

    Args:
        left: the left matrix, whose dtype the result has.
        right: the right matrix before its transposition.
        precision: lax's precision of the product.
    """
    if right.size < LARGE or 2 * left.shape[0] > right.shape[0]:
        return product(left, right.T, precision)
    return lax.optimization_barrier(product(right, left.T, precision)).T


def zero_pad(x: jax.Array, pads: sizes.Pads) -> jax.Array:
    """Returns the images with zeros added, or pixels cut off where a side is negative.

    Args:
        x: images, (batch, height, width, channels).
        pads: ((top, bottom), (left, right)) in pixels.
    """
    if pads == ((0, 0), (0, 0)):
        return x
    config = ((0, 0, 0), *((low, high, 0) for low, high in pads), (0, 0, 0))
    return lax.pad(x, jnp.zeros((), x.dtype), config)


def shifted(
    x: jax.Array, tap: sizes.Size, out_size: sizes.Size, strides: sizes.Pair, dilation: sizes.Pair
) -> jax.Array:
    """Returns the pixels that a kernel tap is multiplied with, one for each output pixel.

    Args:
        x: padded images, (batch, height, width, channels).
        tap: (a, b), row and column of the tap in the kernel.
        out_size: height and width of the output.
        strides: steps between windows.
        dilation: steps between kernel taps.
    """
    rows, columns = (
        slice(t * d, t * d + (n - 1) * s + 1, s)
        for t, n, s, d in zip(tap, out_size, strides, dilation, strict=True)
    )
    return x[:, rows, columns]


def all_taps(kernel_size: sizes.Size) -> list[sizes.Pair]:
    """Returns every kernel tap (a, b), row by row.

    Args:
        kernel_size: height and width of the kernel.
    """
    return [(a, b) for a in range(kernel_size[0]) for b in range(kernel_size[1])]
