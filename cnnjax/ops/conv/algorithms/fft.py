"""Convolution by the convolution theorem: a product of Fourier transforms.

The cost does not grow with the kernel, so that this is fast for very large ones. With a stride,
every window is computed and some are kept.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

from cnnjax.ops import sizes
from cnnjax.ops.accumulation import sum_dtype
from cnnjax.ops.conv.algorithms.taps import zero_pad
from cnnjax.ops.conv.spec import ConvSpec


def refuses(spec: ConvSpec, input_shape: sizes.Size, kernel_shape: sizes.Size) -> str:
    """Returns "": every convolution has a Fourier transform.

    Args:
        spec: the convolution.
        input_shape: (batch, height, width, channels).
        kernel_shape: (height, width, channels / groups, filters).
    """
    del spec, input_shape, kernel_shape
    return ""


def forward(spec: ConvSpec, x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Returns y: Y = X conj(K) in frequencies, where the conjugate makes it a cross-correlation.

    Args:
        spec: the convolution.
        x: images, (batch, height, width, channels).
        kernel: (height, width, channels / groups, filters).
    """
    if 0 in x.shape:
        # The transform refuses an array without elements.
        out = spec.output_size(x.shape[1:3], kernel.shape[:2])
        return jnp.zeros((x.shape[0], *out, kernel.shape[3]), x.dtype)
    x, kernel = zero_pad(x, spec.padding), spread(kernel, spec.dilation)
    lengths = x.shape[1:3]
    # The transform is circular: only the first windows do not wrap around.
    out = tuple(n - k + 1 for n, k in zip(lengths, kernel.shape[:2], strict=True))
    xs = jnp.fft.rfft2(_grouped(_wide(x), spec.groups), lengths, axes=(1, 2))
    ks = jnp.fft.rfft2(_grouped(_wide(kernel), spec.groups), lengths, axes=(0, 1))
    ys = jnp.einsum("nrcgi,rcigo->nrcgo", xs, jnp.conj(ks), precision=spec.precision)
    y = jnp.fft.irfft2(ys, lengths, axes=(1, 2))[:, : out[0], : out[1]]
    y = y[:, :: spec.strides[0], :: spec.strides[1]]
    return y.reshape(*y.shape[:3], -1).astype(x.dtype)


def input_grad(
    spec: ConvSpec, input_size: sizes.Size, grad: jax.Array, kernel: jax.Array
) -> jax.Array:
    """Returns dL/dx: G K in frequencies, with the upstream gradient spread out by the stride.

    Args:
        spec: the convolution.
        input_size: height and width of the images.
        grad: dL/dy, (batch, out_height, out_width, filters).
        kernel: (height, width, channels / groups, filters).
    """
    if 0 in grad.shape or 0 in input_size:
        channels = kernel.shape[2] * spec.groups
        return jnp.zeros((grad.shape[0], *input_size, channels), grad.dtype)
    kernel = spread(kernel, spec.dilation)
    lengths = _padded(spec, input_size)
    gs = jnp.fft.rfft2(_grouped(_wide(_strided(grad, spec)), spec.groups), lengths, axes=(1, 2))
    ks = jnp.fft.rfft2(_grouped(_wide(kernel), spec.groups), lengths, axes=(0, 1))
    xs = jnp.einsum("nrcgo,rcigo->nrcgi", gs, ks, precision=spec.precision)
    dx = jnp.fft.irfft2(xs, lengths, axes=(1, 2))
    (top, _), (left, _) = spec.padding
    dx = dx[:, top : top + input_size[0], left : left + input_size[1]]
    return dx.reshape(*dx.shape[:3], -1).astype(grad.dtype)


def kernel_grad(
    spec: ConvSpec, kernel_size: sizes.Size, x: jax.Array, grad: jax.Array
) -> jax.Array:
    """Returns dL/dk: X conj(G) in frequencies, summed over the batch.

    Args:
        spec: the convolution.
        kernel_size: height and width of the kernel.
        x: images, (batch, height, width, channels).
        grad: dL/dy, (batch, out_height, out_width, filters).
    """
    x = zero_pad(x, spec.padding)
    lengths = x.shape[1:3]
    xs = jnp.fft.rfft2(_grouped(_wide(x), spec.groups), lengths, axes=(1, 2))
    gs = jnp.fft.rfft2(_grouped(_wide(_strided(grad, spec)), spec.groups), lengths, axes=(1, 2))
    ks = jnp.einsum("nrcgi,nrcgo->rcigo", xs, jnp.conj(gs), precision=spec.precision)
    dk = jnp.fft.irfft2(ks, lengths, axes=(0, 1))
    spans = [sizes.span(k, d) for k, d in zip(kernel_size, spec.dilation, strict=True)]
    dk = dk[: spans[0] : spec.dilation[0], : spans[1] : spec.dilation[1]]
    return dk.reshape(*dk.shape[:3], -1).astype(x.dtype)


def spread(kernel: jax.Array, dilation: sizes.Pair) -> jax.Array:
    """Returns the kernel with its holes written out as zeros.

    Args:
        kernel: any array of four axes, the first two of which are spread.
        dilation: step between kernel taps, (rows, columns).
    """
    if dilation == (1, 1):
        return kernel
    config = (*((0, 0, d - 1) for d in dilation), (0, 0, 0), (0, 0, 0))
    return lax.pad(kernel, jnp.zeros((), kernel.dtype), config)


def _strided(grad: jax.Array, spec: ConvSpec) -> jax.Array:
    """Returns the upstream gradient at the windows' positions, with zeros between them."""
    # `spread` works on the first two axes.
    turned = jnp.moveaxis(grad, 0, 3)
    flat = turned.reshape(*turned.shape[:2], 1, -1)
    flat = spread(flat, spec.strides)
    return jnp.moveaxis(flat.reshape(*flat.shape[:2], *turned.shape[2:]), 3, 0)


def _padded(spec: ConvSpec, input_size: sizes.Size) -> sizes.Pair:
    rows, columns = (
        n + low + high for n, (low, high) in zip(input_size, spec.padding, strict=True)
    )
    return (rows, columns)


def _grouped(x: jax.Array, groups: int) -> jax.Array:
    """Returns `x` with its last axis split into (group, number within the group)."""
    return x.reshape(*x.shape[:3], groups, -1)


def _wide(x: jax.Array) -> jax.Array:
    return x.astype(sum_dtype(x.dtype))
