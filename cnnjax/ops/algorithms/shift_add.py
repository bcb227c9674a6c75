"""Depthwise convolution as shifted images, multiplied by one number per channel and added.

With one channel per group there is no sum over channels for a matrix product to do. The taps are
independent element-wise products that XLA fuses into one pass over memory.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp

from cnnjax.ops import sizes
from cnnjax.ops.algorithms.phases import axis_phases, interleave
from cnnjax.ops.algorithms.taps import accumulator, all_taps, shifted, zero_pad
from cnnjax.ops.conv_spec import ConvSpec


def refuses(spec: ConvSpec, kernel_shape: tuple[int, ...]) -> str:
    """Returns why this convolution is not depthwise, or ""."""
    return "" if kernel_shape[2] == 1 else "needs one channel per group (groups = channels)"


def forward(spec: ConvSpec, x: jax.Array, kernel: jax.Array) -> jax.Array:
    """y = Σ_a Σ_b x(· + a, · + b) k(a, b), channel by channel."""
    out_size = spec.output_size(x.shape[1:3], kernel.shape[:2])
    x = _repeated(zero_pad(x, spec.padding), kernel.shape[3] // spec.groups)
    taps = [
        _wide(shifted(x, tap, out_size, spec.strides, spec.dilation)) * _wide(_tap(kernel, tap))
        for tap in all_taps(kernel.shape[:2])
    ]
    return functools.reduce(jnp.add, taps).astype(x.dtype)


def input_grad(
    spec: ConvSpec, input_size: sizes.Size, grad: jax.Array, kernel: jax.Array
) -> jax.Array:
    """dL/dx by phases of the stride, each a sum of shifted upstream gradients."""
    rows, columns = (
        axis_phases(n, k, s, low, g)
        for n, k, s, (low, _), g in zip(
            input_size, kernel.shape[:2], spec.strides, spec.padding, grad.shape[1:3], strict=True
        )
    )
    phases = [
        [_phase(grad, kernel, spec.strides, row, column) for column in columns] for row in rows
    ]
    dx = interleave(phases)[:, : input_size[0], : input_size[1]]
    if kernel.shape[3] == spec.groups:
        return dx
    dx = dx.reshape(*dx.shape[:3], spec.groups, -1)
    return jnp.sum(_wide(dx), axis=4).astype(grad.dtype)


def kernel_grad(
    spec: ConvSpec, kernel_size: sizes.Size, x: jax.Array, grad: jax.Array
) -> jax.Array:
    """dL/dk(a, b) = Σ x(· + a, · + b) g over images and pixels, channel by channel."""
    x = _repeated(zero_pad(x, spec.padding), grad.shape[3] // spec.groups)
    wide = _wide(grad)
    taps = [
        jnp.sum(
            _wide(shifted(x, tap, grad.shape[1:3], spec.strides, spec.dilation)) * wide, (0, 1, 2)
        )
        for tap in all_taps(kernel_size)
    ]
    return jnp.stack(taps).reshape(*kernel_size, 1, grad.shape[3]).astype(grad.dtype)


def _phase(grad, kernel, strides, row, column):
    padded = zero_pad(grad, (row.pads, column.pads))
    total = jnp.zeros((grad.shape[0], row.length, column.length, grad.shape[3]), grad.dtype)
    total = _wide(total)
    for i, j in all_taps((row.taps, column.taps)):
        # True convolution: tap j of a phase meets the gradient j places earlier.
        tap = (row.taps - 1 - i, column.taps - 1 - j)
        window = shifted(padded, tap, (row.length, column.length), (1, 1), (1, 1))
        place = (row.first + i * strides[0], column.first + j * strides[1])
        total = total + _wide(window) * _wide(_tap(kernel, place))
    return total.astype(grad.dtype)


def _repeated(x: jax.Array, times: int) -> jax.Array:
    return x if times == 1 else jnp.repeat(x, times, axis=3)


def _tap(kernel: jax.Array, tap: sizes.Size) -> jax.Array:
    return kernel[tap[0], tap[1], 0][None, None, None, :]


def _wide(x: jax.Array) -> jax.Array:
    return x.astype(accumulator(x.dtype))
