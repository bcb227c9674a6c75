"""Grouped convolution as a few dense ones: neighboring groups merged into blocks.

A block of merged groups is a dense convolution whose kernel is zero off the diagonal. The zeros
cost multiplications, but on CPU a dense convolution of 32 channels runs at a hundred times the rate
of XLA's grouped loop. Gradients keep the diagonal and drop the rest.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from cnnjax.ops import sizes
from cnnjax.ops.checks import MOST_TERMS
from cnnjax.ops.conv.algorithms import direct
from cnnjax.ops.conv.spec import ConvSpec

BLOCK_CHANNELS = 32
"""Channels of a block, from which dense convolutions run at full rate; measured."""


def refuses(spec: ConvSpec, input_shape: sizes.Size, kernel_shape: sizes.Size) -> str:
    """Returns why there are no groups to merge, or "".

    Args:
        spec: the convolution.
        input_shape: (batch, height, width, channels).
        kernel_shape: (height, width, channels / groups, filters).
    """
    del kernel_shape
    if spec.groups == 1:
        return "needs groups > 1"
    if spec.groups // merged_groups(spec.groups, input_shape[3]) > MOST_TERMS:
        return f"needs at most {MOST_TERMS} blocks of {BLOCK_CHANNELS} channels"
    return ""


def merged_groups(groups: int, channels: int) -> int:
    """Returns how many groups a block merges: the least divisor that gives it 32 channels.

    Args:
        groups: of the convolution.
        channels: of the images.
    """
    divisors = (m for m in range(1, groups + 1) if groups % m == 0)
    return next((m for m in divisors if m * channels // groups >= BLOCK_CHANNELS), groups)


def forward(spec: ConvSpec, x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Returns y, computed block by block and joined along the filters.

    Args:
        spec: the convolution.
        x: images, (batch, height, width, channels).
        kernel: (height, width, channels / groups, filters).
    """
    merged = merged_groups(spec.groups, x.shape[3])
    blocks = spec.groups // merged
    dense = _dense(spec)
    parts = [
        direct.forward(dense, part, _spread(block, merged))
        for part, block in zip(_split(x, blocks), _split(kernel, blocks), strict=True)
    ]
    return jnp.concatenate(parts, axis=3)


def input_grad(
    spec: ConvSpec, input_size: sizes.Size, grad: jax.Array, kernel: jax.Array
) -> jax.Array:
    """Returns dL/dx, computed block by block and joined along the channels.

    Args:
        spec: the convolution.
        input_size: height and width of the images.
        grad: dL/dy, (batch, out_height, out_width, filters).
        kernel: (height, width, channels / groups, filters).
    """
    merged = merged_groups(spec.groups, kernel.shape[2] * spec.groups)
    blocks = spec.groups // merged
    dense = _dense(spec)
    parts = [
        direct.input_grad(dense, input_size, part, _spread(block, merged))
        for part, block in zip(_split(grad, blocks), _split(kernel, blocks), strict=True)
    ]
    return jnp.concatenate(parts, axis=3)


def kernel_grad(
    spec: ConvSpec, kernel_size: sizes.Size, x: jax.Array, grad: jax.Array
) -> jax.Array:
    """Returns dL/dk: the diagonal of the dense one of each block.

    Args:
        spec: the convolution.
        kernel_size: height and width of the kernel.
        x: images, (batch, height, width, channels).
        grad: dL/dy, (batch, out_height, out_width, filters).
    """
    merged = merged_groups(spec.groups, x.shape[3])
    blocks = spec.groups // merged
    dense = _dense(spec)
    parts = [
        _diagonal(direct.kernel_grad(dense, kernel_size, x_part, g_part), merged)
        for x_part, g_part in zip(_split(x, blocks), _split(grad, blocks), strict=True)
    ]
    return jnp.concatenate(parts, axis=3)


def _dense(spec: ConvSpec) -> ConvSpec:
    return dataclasses.replace(spec, groups=1)


def _split(x: jax.Array, parts: int) -> list[jax.Array]:
    return jnp.split(x, parts, axis=3)


def _spread(kernel: jax.Array, merged: int) -> jax.Array:
    """Returns a dense kernel with those of `merged` groups on its diagonal."""
    if merged == 1:
        return kernel
    height, width, channels, filters = kernel.shape
    groups = kernel.reshape(height, width, 1, channels, merged, filters // merged)
    # One product for all groups, in place of a write for each.
    same = jnp.eye(merged, dtype=kernel.dtype)[None, None, :, None, :, None]
    return (groups * same).reshape(height, width, merged * channels, filters)


def _diagonal(dense: jax.Array, merged: int) -> jax.Array:
    if merged == 1:
        return dense
    height, width, channels, filters = dense.shape
    blocks = dense.reshape(height, width, merged, channels // merged, merged, filters // merged)
    # Off the diagonal is the gradient of the zeros, which are constants.
    parts = [blocks[:, :, m, :, m] for m in range(merged)]
    return jnp.concatenate(parts, axis=3)
