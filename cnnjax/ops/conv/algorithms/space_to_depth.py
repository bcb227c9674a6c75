"""Strided convolution without its stride: each s x s block of pixels becomes one pixel, deeper.

A large kernel with a stride (11x11/4, 7x7/2 on 3 channels) has many taps and few channels, for
which libraries of matrix products are slow. The same sum over s·s times the channels, with a
kernel s times smaller each way and no stride, is an ordinary dense convolution. The kernel is
padded with zeros to a multiple of the stride.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
from jax import lax

from cnnjax.ops import sizes
from cnnjax.ops.conv.algorithms import direct
from cnnjax.ops.conv.algorithms.taps import zero_pad
from cnnjax.ops.conv.spec import ConvSpec


def refuses(spec: ConvSpec, input_shape: sizes.Size, kernel_shape: sizes.Size) -> str:
    """Returns why there is no stride to fold away, or "".

    Args:
        spec: the convolution.
        input_shape: (batch, height, width, channels).
        kernel_shape: (height, width, channels / groups, filters).
    """
    if spec.strides == (1, 1) or spec.dilation != (1, 1) or spec.groups != 1:
        return "needs a stride, no dilation and one group"
    return ""


def forward(spec: ConvSpec, x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Returns y, from the folded image and the folded kernel.

    Args:
        spec: the convolution.
        x: images, (batch, height, width, channels).
        kernel: (height, width, channels / groups, filters).
    """
    out_size = spec.output_size(x.shape[1:3], kernel.shape[:2])
    blocks = _blocks(spec, out_size, kernel.shape[:2])
    x = _fold(_fit(x, spec, blocks), spec.strides)
    return direct.forward(_unstrided(spec), x, _fold_kernel(kernel, spec.strides))


def input_grad(
    spec: ConvSpec, input_size: sizes.Size, grad: jax.Array, kernel: jax.Array
) -> jax.Array:
    """Returns dL/dx of the folded image, unfolded.

    Args:
        spec: the convolution.
        input_size: height and width of the images.
        grad: dL/dy, (batch, out_height, out_width, filters).
        kernel: (height, width, channels / groups, filters).
    """
    blocks = _blocks(spec, grad.shape[1:3], kernel.shape[:2])
    dx = direct.input_grad(_unstrided(spec), blocks, grad, _fold_kernel(kernel, spec.strides))
    dx = _unfold(dx, spec.strides)
    # Blocks cover the padded image: what lies in the padding is cut off again.
    pads = [
        (-low, n + low - length)
        for n, length, (low, _) in zip(input_size, dx.shape[1:3], spec.padding, strict=True)
    ]
    return zero_pad(dx, (pads[0], pads[1]))


def kernel_grad(
    spec: ConvSpec, kernel_size: sizes.Size, x: jax.Array, grad: jax.Array
) -> jax.Array:
    """Returns dL/dk of the folded kernel, unfolded.

    Args:
        spec: the convolution.
        kernel_size: height and width of the kernel.
        x: images, (batch, height, width, channels).
        grad: dL/dy, (batch, out_height, out_width, filters).
    """
    blocks = _blocks(spec, grad.shape[1:3], kernel_size)
    folded = tuple(-(-k // s) for k, s in zip(kernel_size, spec.strides, strict=True))
    x = _fold(_fit(x, spec, blocks), spec.strides)
    dk = direct.kernel_grad(_unstrided(spec), (folded[0], folded[1]), x, grad)
    down, across = spec.strides
    dk = dk.reshape(*folded, down, across, -1, grad.shape[3]).transpose(0, 2, 1, 3, 4, 5)
    # The folded kernel was padded to whole blocks.
    dk = dk.reshape(folded[0] * down, folded[1] * across, -1, grad.shape[3])
    return dk[: kernel_size[0], : kernel_size[1]]


def _blocks(spec: ConvSpec, out_size: sizes.Size, kernel_size: sizes.Size) -> sizes.Pair:
    """Returns the number of blocks that the windows reach over, along rows and columns."""
    rows, columns = (
        n - 1 + -(-k // s) for n, k, s in zip(out_size, kernel_size, spec.strides, strict=True)
    )
    return (rows, columns)


def _fit(x: jax.Array, spec: ConvSpec, blocks: sizes.Pair) -> jax.Array:
    """Returns the image, padded or cut to whole blocks."""
    pads = [
        (low, count * s - low - n)
        for n, count, s, (low, _) in zip(
            x.shape[1:3], blocks, spec.strides, spec.padding, strict=True
        )
    ]
    return zero_pad(x, (pads[0], pads[1]))


def _fold(x: jax.Array, strides: sizes.Pair) -> jax.Array:
    batch, height, width, channels = x.shape
    down, across = strides
    x = x.reshape(batch, height // down, down, width // across, across, channels)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(batch, height // down, width // across, -1)


def _unfold(x: jax.Array, strides: sizes.Pair) -> jax.Array:
    batch, height, width, _ = x.shape
    down, across = strides
    x = x.reshape(batch, height, width, down, across, -1).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(batch, height * down, width * across, -1)


def _fold_kernel(kernel: jax.Array, strides: sizes.Pair) -> jax.Array:
    height, width, channels, filters = kernel.shape
    down, across = strides
    config = ((0, -height % down, 0), (0, -width % across, 0), (0, 0, 0), (0, 0, 0))
    kernel = lax.pad(kernel, jnp.zeros((), kernel.dtype), config)
    rows, columns = kernel.shape[0] // down, kernel.shape[1] // across
    kernel = kernel.reshape(rows, down, columns, across, channels, filters)
    return kernel.transpose(0, 2, 1, 3, 4, 5).reshape(rows, columns, -1, filters)


def _unstrided(spec: ConvSpec) -> ConvSpec:
    return dataclasses.replace(spec, strides=(1, 1), padding=((0, 0), (0, 0)))
