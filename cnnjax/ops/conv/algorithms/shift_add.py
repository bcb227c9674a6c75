"""Depthwise convolution as shifted images, multiplied by one number per channel and added.

With one channel per group there is no sum over channels that a matrix product could compute. The
taps are independent elementwise products that XLA fuses into one pass over memory. A gray image
under a few filters is the case of one group.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from jax import lax

from cnnjax.ops import sizes
from cnnjax.ops.accumulation import sum_dtype
from cnnjax.ops.channel_sums import channel_sums
from cnnjax.ops.checks import MOST_TERMS
from cnnjax.ops.conv.algorithms.phases import Phase, image_phases, interleave
from cnnjax.ops.conv.algorithms.taps import all_taps, shifted, zero_pad
from cnnjax.ops.conv.spec import ConvSpec


def refuses(spec: ConvSpec, input_shape: sizes.Size, kernel_shape: sizes.Size) -> str:
    """Returns why this convolution is not depthwise, or "".

    Args:
        spec: the convolution.
        input_shape: (batch, height, width, channels).
        kernel_shape: (height, width, channels / groups, filters).
    """
    del input_shape
    if kernel_shape[2] != 1:
        return "needs one channel per group (groups = channels)"
    if terms(spec, kernel_shape) > MOST_TERMS:
        return f"needs kernel and strides of at most {MOST_TERMS} elements together"
    return ""


def terms(spec: ConvSpec, kernel_shape: sizes.Size) -> int:
    """Returns how many operations the three passes are written out as, at most.

    Args:
        spec: the convolution.
        kernel_shape: (height, width, channels / groups, filters).
    """
    # Phases without a tap are arrays, too.
    return kernel_shape[0] * kernel_shape[1] + spec.strides[0] * spec.strides[1]


def forward(spec: ConvSpec, x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Returns y = Σ_a Σ_b x(· + a, · + b) k(a, b), channel by channel.

    Args:
        spec: the convolution.
        x: images, (batch, height, width, channels).
        kernel: (height, width, channels / groups, filters).
    """
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
    """Returns dL/dx by phases of the stride, each a sum of shifted upstream gradients.

    Args:
        spec: the convolution.
        input_size: height and width of the images.
        grad: dL/dy, (batch, out_height, out_width, filters).
        kernel: (height, width, channels / groups, filters).
    """
    rows, columns = image_phases(spec, input_size, kernel.shape[:2])
    phases = [[_phase(grad, kernel, row, column) for column in columns] for row in rows]
    dx = interleave(phases, input_size)
    if kernel.shape[3] == spec.groups:
        return dx.astype(grad.dtype)
    dx = dx.reshape(*dx.shape[:3], spec.groups, -1)
    return jnp.sum(dx, axis=4).astype(grad.dtype)


def kernel_grad(
    spec: ConvSpec, kernel_size: sizes.Size, x: jax.Array, grad: jax.Array
) -> jax.Array:
    """Returns dL/dk(a, b) = Σ x(· + a, · + b) g over images and pixels, channel by channel.

    Args:
        spec: the convolution.
        kernel_size: height and width of the kernel.
        x: images, (batch, height, width, channels).
        grad: dL/dy, (batch, out_height, out_width, filters).
    """
    x = _repeated(zero_pad(x, spec.padding), grad.shape[3] // spec.groups)
    wide, (height, width) = _wide(grad), kernel_size
    seen = (sizes.span(n, step) for n, step in zip(grad.shape[1:3], spec.strides, strict=True))
    extent = (x.shape[0], *seen, x.shape[3])

    # A loop: written out, the taps take the compiler most of its time, and run no faster.
    def tap(number: jax.Array) -> jax.Array:
        row, column = number // width * spec.dilation[0], number % width * spec.dilation[1]
        # Of one dtype, also where Python's integers are of 64 bits.
        first = jnp.zeros_like(number)
        window = lax.dynamic_slice(x, (first, row, column, first), extent)
        return channel_sums(_wide(window[:, :: spec.strides[0], :: spec.strides[1]]) * wide)

    taps = lax.map(tap, jnp.arange(height * width, dtype=jnp.int32))
    return taps.reshape(*kernel_size, 1, grad.shape[3]).astype(grad.dtype)


def _phase(grad: jax.Array, kernel: jax.Array, row: Phase, column: Phase) -> jax.Array:
    out_size = (row.length, column.length)
    total = jnp.zeros((grad.shape[0], *out_size, grad.shape[3]), sum_dtype(grad.dtype))
    if not row.taps or not column.taps:
        return total
    padded = zero_pad(grad, (row.pads(grad.shape[1]), column.pads(grad.shape[2])))
    for i, j in all_taps((row.taps, column.taps)):
        # True convolution: later taps are multiplied with earlier gradients.
        back = (row.taps - 1 - i, column.taps - 1 - j)
        window = shifted(padded, back, out_size, (1, 1), (row.hole, column.hole))
        place = (row.first + i * row.step, column.first + j * column.step)
        total = total + _wide(window) * _wide(_tap(kernel, place))
    return total


def _repeated(x: jax.Array, times: int) -> jax.Array:
    return x if times == 1 else jnp.repeat(x, times, axis=3)


def _tap(kernel: jax.Array, tap: sizes.Size) -> jax.Array:
    return kernel[tap[0], tap[1], 0][None, None, None, :]


def _wide(x: jax.Array) -> jax.Array:
    return x.astype(sum_dtype(x.dtype))
