"""1x1 convolution as one matrix product over all pixels."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

from cnnjax.ops import sizes
from cnnjax.ops.algorithms.taps import product
from cnnjax.ops.conv_spec import ConvSpec


def refuses(spec: ConvSpec, kernel_shape: tuple[int, ...]) -> str:
    """Returns why this convolution is no single matrix product, or ""."""
    if kernel_shape[:2] != (1, 1) or spec.groups != 1 or spec.padding != ((0, 0), (0, 0)):
        return "needs a 1x1 kernel, one group and no padding"
    return ""


def forward(spec: ConvSpec, x: jax.Array, kernel: jax.Array) -> jax.Array:
    """y = x k at the pixels that the stride visits."""
    x = _visited(x, spec.strides)
    y = product(_pixels(x), kernel[0, 0], spec.precision)
    return y.reshape(*x.shape[:3], kernel.shape[3])


def input_grad(
    spec: ConvSpec, input_size: sizes.Size, grad: jax.Array, kernel: jax.Array
) -> jax.Array:
    """dL/dx = g kᵀ at the pixels that the stride visits, zero elsewhere."""
    dx = product(_pixels(grad), kernel[0, 0].T, spec.precision)
    dx = dx.reshape(*grad.shape[:3], kernel.shape[2])
    if spec.strides == (1, 1):
        return dx
    config = [(0, 0, 0)]
    for n, visited, s in zip(input_size, grad.shape[1:3], spec.strides, strict=True):
        config.append((0, n - sizes.span(visited, s), s - 1))
    return lax.pad(dx, jnp.zeros((), dx.dtype), (*config, (0, 0, 0)))


def kernel_grad(
    spec: ConvSpec, kernel_size: sizes.Size, x: jax.Array, grad: jax.Array
) -> jax.Array:
    """dL/dk = xᵀ g; the smaller operand is the one transposed."""
    del kernel_size
    x, grad = _pixels(_visited(x, spec.strides)), _pixels(grad)
    if x.shape[1] <= grad.shape[1]:
        return product(x.T, grad, spec.precision)[None, None]
    return product(grad.T, x, spec.precision).T[None, None]


def _visited(x: jax.Array, strides: sizes.Pair) -> jax.Array:
    return x if strides == (1, 1) else x[:, :: strides[0], :: strides[1]]


def _pixels(x: jax.Array) -> jax.Array:
    return x.reshape(-1, x.shape[3])
