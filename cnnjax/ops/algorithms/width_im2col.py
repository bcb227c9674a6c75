"""dL/dk from the image unrolled over the width alone, then one forward convolution over rows.

Unrolling every tap writes K·K copies of the image; unrolling one axis writes K. What is left is a
convolution down the rows, with the upstream gradient as the image (its filters in the place of
the batch) and the unrolled input as the kernel.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

from cnnjax.ops import sizes
from cnnjax.ops.algorithms.direct import NHWC
from cnnjax.ops.conv_spec import ConvSpec


def refuses(spec: ConvSpec, input_shape: sizes.Size, kernel_shape: sizes.Size) -> str:
    """Returns why this convolution cannot be unrolled so, or ""."""
    del input_shape, kernel_shape
    if spec.strides[0] != 1 or spec.dilation != (1, 1) or spec.groups != 1:
        return "needs one group, no dilation and no stride down the rows"
    return ""


def kernel_grad(
    spec: ConvSpec, kernel_size: sizes.Size, x: jax.Array, grad: jax.Array
) -> jax.Array:
    """dL/dk(a, (b, c), f) = Σ_r g(r, f) x_b(r + a - top, c), with x_b the image shifted by b."""
    batch, height, _, channels = x.shape
    _, rows, columns, filters = grad.shape
    (top, _), (left, right) = spec.padding
    zero = jnp.zeros((), x.dtype)
    x = lax.pad(x, zero, ((0, 0, 0), (0, 0, 0), (left, right, 0), (0, 0, 0))).transpose(1, 0, 2, 3)
    stride = spec.strides[1]
    x = jnp.concatenate(
        [x[:, :, b : b + (columns - 1) * stride + 1 : stride] for b in range(kernel_size[1])], 3
    )
    turned = grad.transpose(3, 1, 0, 2).reshape(filters, rows, 1, batch * columns)
    # Output row m sums g(r + m - p) x(r): the taps in reverse, m = p - a + top with p = K - 1.
    below = kernel_size[0] - 1 - top
    y = lax.conv_general_dilated(
        turned,
        x.reshape(height, 1, batch * columns, kernel_size[1] * channels),
        (1, 1),
        ((below, height + top - rows), (0, 0)),
        dimension_numbers=NHWC,
        precision=spec.precision,
    )
    y = lax.rev(y[:, :, 0], (1,)).reshape(filters, *kernel_size, channels)
    return y.transpose(1, 2, 3, 0)
