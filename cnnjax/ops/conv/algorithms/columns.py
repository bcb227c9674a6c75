"""Few filters: several neighboring output columns per product.

A matrix product with 6 or 16 columns leaves most of a vector register empty. T neighboring output
columns, taken as T times the filters of a kernel that is T - 1 wider and steps T columns at a
time, fill it; the price is the zeros in that kernel, (K + T - 1) / K times the multiplications.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from cnnjax.ops import sizes
from cnnjax.ops.accumulation import sum_dtype
from cnnjax.ops.conv.algorithms import direct
from cnnjax.ops.conv.spec import ConvSpec

WIDE_ENOUGH = 32
"""Columns of a product that fill the vector registers; measured."""


def refuses(spec: ConvSpec, input_shape: sizes.Size, kernel_shape: sizes.Size) -> str:
    """Returns why columns cannot be computed together, or "".

    Args:
        spec: the convolution.
        input_shape: (batch, height, width, channels).
        kernel_shape: (height, width, channels / groups, filters).
    """
    del input_shape, kernel_shape
    if spec.strides != (1, 1) or spec.dilation != (1, 1) or spec.groups != 1:
        return "needs one group, no stride and no dilation"
    return ""


def together(filters: int, width: int) -> int:
    """Returns how many output columns go together: enough for 32 lanes, dividing `width`.

    Args:
        filters: of the kernel.
        width: number of output columns.
    """
    wanted = max(WIDE_ENOUGH // filters, 1)
    return next(t for t in range(wanted, 0, -1) if width % t == 0)


def forward(spec: ConvSpec, x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Returns y, computed T columns at a time.

    Args:
        spec: the convolution.
        x: images, (batch, height, width, channels).
        kernel: (height, width, channels / groups, filters).
    """
    rows, columns = spec.output_size(x.shape[1:3], kernel.shape[:2])
    taken = together(kernel.shape[3], columns)
    y = direct.forward(_stepping(spec, taken), x, _banded(kernel, taken))
    return y.reshape(x.shape[0], rows, columns, kernel.shape[3])


def input_grad(
    spec: ConvSpec, input_size: sizes.Size, grad: jax.Array, kernel: jax.Array
) -> jax.Array:
    """Returns dL/dx: without a stride it is a forward convolution with the kernel flipped.

    Args:
        spec: the convolution.
        input_size: height and width of the images.
        grad: dL/dy, (batch, out_height, out_width, filters).
        kernel: (height, width, channels / groups, filters).
    """
    (top, _), (left, _) = spec.padding
    height, width = kernel.shape[:2]
    above, before = height - 1 - top, width - 1 - left
    # More padding than the kernel reaches over: the pixels would have to be cut off first.
    if min(above, before) < 0:
        return direct.input_grad(spec, input_size, grad, kernel)
    pads = (
        (above, input_size[0] + height - 1 - grad.shape[1] - above),
        (before, input_size[1] + width - 1 - grad.shape[2] - before),
    )
    flipped = jnp.flip(kernel, (0, 1)).swapaxes(2, 3)
    return forward(dataclasses.replace(spec, padding=pads), grad, flipped)


def kernel_grad(
    spec: ConvSpec, kernel_size: sizes.Size, x: jax.Array, grad: jax.Array
) -> jax.Array:
    """Returns dL/dk: the bands of the wide kernel's, added up.

    Args:
        spec: the convolution.
        kernel_size: height and width of the kernel.
        x: images, (batch, height, width, channels).
        grad: dL/dy, (batch, out_height, out_width, filters).
    """
    batch, rows, columns, filters = grad.shape
    taken = together(filters, columns)
    wide = (kernel_size[0], kernel_size[1] + taken - 1)
    grad = grad.reshape(batch, rows, columns // taken, taken * filters)
    # The half types are rounded once, after the bands are added.
    sums = sum_dtype(x.dtype)
    dk = direct.kernel_grad(_stepping(spec, taken), wide, x.astype(sums), grad.astype(sums))
    bands = [
        dk[:, t : t + kernel_size[1], :, t * filters : (t + 1) * filters] for t in range(taken)
    ]
    return sum(bands[1:], bands[0]).astype(x.dtype)


def _stepping(spec: ConvSpec, taken: int) -> ConvSpec:
    return dataclasses.replace(spec, strides=(1, taken))


def _banded(kernel: jax.Array, taken: int) -> jax.Array:
    """Returns the wide kernel: its filters of column t are the kernel, moved t columns right."""
    none = ((0, 0), (0, 0), (0, 0))
    bands = [jnp.pad(kernel, (none[0], (t, taken - 1 - t), *none[1:])) for t in range(taken)]
    return jnp.concatenate(bands, axis=3)
