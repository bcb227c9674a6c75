"""Convolutions that are one matrix product: 1x1 kernels, and kernels as large as the image."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

from cnnjax.ops import sizes
from cnnjax.ops.conv.algorithms.taps import product, product_with_transpose
from cnnjax.ops.conv.spec import ConvSpec

TRANSPOSE_FROM = 6
"""Pixels per filter from which dL/dk transposes the upstream gradient first; measured."""


def refuses(spec: ConvSpec, input_shape: sizes.Size, kernel_shape: sizes.Size) -> str:
    """Returns why this convolution is not a single matrix product, or "".

    Args:
        spec: the convolution.
        input_shape: (batch, height, width, channels).
        kernel_shape: (height, width, channels / groups, filters).
    """
    if spec.groups != 1 or spec.padding != ((0, 0), (0, 0)):
        return "needs one group and no padding"
    if kernel_shape[:2] == (1, 1) or _covers(spec, input_shape[1:3], kernel_shape[:2]):
        return ""
    return "needs a kernel of 1x1, or as large as the image"


def forward(spec: ConvSpec, x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Returns y = x k at the pixels that the stride visits.

    Args:
        spec: the convolution.
        x: images, (batch, height, width, channels).
        kernel: (height, width, channels / groups, filters).
    """
    x = _rows(spec, x, kernel.shape[:2])
    y = product(_pixels(x), kernel.reshape(-1, kernel.shape[3]), spec.precision)
    return y.reshape(*x.shape[:3], kernel.shape[3])


def input_grad(
    spec: ConvSpec, input_size: sizes.Size, grad: jax.Array, kernel: jax.Array
) -> jax.Array:
    """Returns dL/dx = g kᵀ at the pixels that the stride visits, zero elsewhere.

    Args:
        spec: the convolution.
        input_size: height and width of the images.
        grad: dL/dy, (batch, out_height, out_width, filters).
        kernel: (height, width, channels / groups, filters).
    """
    dx = product_with_transpose(_pixels(grad), kernel.reshape(-1, kernel.shape[3]), spec.precision)
    if kernel.shape[:2] != (1, 1):
        return dx.reshape(grad.shape[0], *input_size, kernel.shape[2])
    dx = dx.reshape(*grad.shape[:3], kernel.shape[2])
    if spec.strides == (1, 1):
        return dx
    # The third number of each triple is the zeros between two pixels that the stride visits.
    config = [(0, 0, 0)]
    for n, visited, s in zip(input_size, grad.shape[1:3], spec.strides, strict=True):
        config.append((0, n - sizes.span(visited, s), s - 1))
    return lax.pad(dx, jnp.zeros((), dx.dtype), (*config, (0, 0, 0)))


def kernel_grad(
    spec: ConvSpec, kernel_size: sizes.Size, x: jax.Array, grad: jax.Array
) -> jax.Array:
    """Returns dL/dk = xᵀ g, as (gᵀ x)ᵀ where that is faster.

    A product whose left operand is read column by column is slow where its sum is long. Writing out
    gᵀ costs little where g is the narrower operand and the sum much longer than g is wide.

    Args:
        spec: the convolution.
        kernel_size: height and width of the kernel.
        x: images, (batch, height, width, channels).
        grad: dL/dy, (batch, out_height, out_width, filters).
    """
    shape = (*kernel_size, x.shape[3], grad.shape[3])
    x, grad = _pixels(_rows(spec, x, kernel_size)), _pixels(grad)
    pixels, filters = grad.shape
    if filters > x.shape[1] or pixels < TRANSPOSE_FROM * filters:
        return product(x.T, grad, spec.precision).reshape(shape)
    # The barriers keep XLA from folding the transpositions into the product.
    dk = product(lax.optimization_barrier(grad.T), x, spec.precision)
    return lax.optimization_barrier(dk).T.reshape(shape)


def _covers(spec: ConvSpec, input_size: sizes.Size, kernel_size: sizes.Size) -> bool:
    return tuple(kernel_size) == tuple(input_size) and spec.dilation == (1, 1)


def _rows(spec: ConvSpec, x: jax.Array, kernel_size: sizes.Size) -> jax.Array:
    """Returns the pixels that the stride visits; a covered image becomes one deep pixel."""
    if kernel_size != (1, 1):
        return x.reshape(x.shape[0], 1, 1, -1)
    return x if spec.strides == (1, 1) else x[:, :: spec.strides[0], :: spec.strides[1]]


def _pixels(x: jax.Array) -> jax.Array:
    return x.reshape(-1, x.shape[3])
