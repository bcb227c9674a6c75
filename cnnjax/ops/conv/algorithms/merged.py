"""dL/dk with the columns and channels of the images as one axis.

As a convolution, dL/dk slides the upstream gradient over the images, with the batch as channels:
its output is as small as the kernel, 3 columns wide, and a library that computes many neighboring
output columns at once has little to do. With columns and channels as one axis, along which the
upstream gradient steps C places at a time, the same sums are an output 3 C columns wide:

    dL/dk(a, b, c, f) = Σ_n Σ_r Σ_t x_n(r·s + a·d - p, (t·s + b·d - p) C + c) g_n(r, t, f)
"""

from __future__ import annotations

from collections.abc import Iterator

import jax
import jax.numpy as jnp

from cnnjax.ops import sizes
from cnnjax.ops.conv.algorithms import direct
from cnnjax.ops.conv.spec import ConvSpec

WIDE = 32
"""Channels of a group from which each group is computed alone; measured."""
MANY_IMAGES = 16
"""Images beyond which grouped convolutions are computed in parts of the batch: oneDNN takes a slow
form where a group has more channels than that. 14 against 31 ms for 32 images of 28x28x256."""
MOST_PARTS = 8


def refuses(spec: ConvSpec, input_shape: sizes.Size, kernel_shape: sizes.Size) -> str:
    """Returns "": every convolution can be computed so.

    Args:
        spec: the convolution.
        input_shape: (batch, height, width, channels).
        kernel_shape: (height, width, channels / groups, filters).
    """
    del spec, input_shape, kernel_shape
    return ""


def kernel_grad(
    spec: ConvSpec, kernel_size: sizes.Size, x: jax.Array, grad: jax.Array
) -> jax.Array:
    """Returns dL/dk, (height, width, channels / groups, filters).

    Args:
        spec: the convolution.
        kernel_size: height and width of the kernel.
        x: images, (batch, height, width, channels).
        grad: dL/dy, (batch, out_height, out_width, filters).
    """
    if spec.groups == 1:
        return _all_groups(spec, kernel_size, x, grad, 1)
    if x.shape[3] // spec.groups >= WIDE:
        pairs = zip(jnp.split(x, spec.groups, 3), jnp.split(grad, spec.groups, 3), strict=True)
        return jnp.concatenate([_all_groups(spec, kernel_size, *pair, 1) for pair in pairs], 3)
    parts = [_all_groups(spec, kernel_size, *part, spec.groups) for part in _parts(x, grad)]
    return sum(parts[1:], parts[0])


def _parts(x: jax.Array, grad: jax.Array) -> Iterator[tuple[jax.Array, jax.Array]]:
    """Yields parts of the batch; of the half types one, so that sums are rounded once."""
    batch = x.shape[0]
    images = max(MANY_IMAGES, -(-batch // MOST_PARTS)) if x.dtype.itemsize >= 4 else batch
    for start in range(0, batch, images):
        yield x[start : start + images], grad[start : start + images]


def _all_groups(
    spec: ConvSpec, kernel_size: sizes.Size, x: jax.Array, grad: jax.Array, groups: int
) -> jax.Array:
    batch, height, width, channels = x.shape
    per_group = channels // groups
    rows, columns = direct.kernel_grad_pads(spec, (height, width), kernel_size, grad.shape[1:3])
    # (1, height, width · channels of a group, groups · batch).
    merged = x.reshape(batch, height, width, groups, per_group).transpose(1, 2, 4, 3, 0)
    dk = direct.lax_conv(
        merged.reshape(1, height, width * per_group, groups * batch),
        grad.transpose(1, 2, 0, 3),
        window_strides=(spec.dilation[0], 1),
        padding=(rows, (columns[0] * per_group, columns[1] * per_group)),
        rhs_dilation=(spec.strides[0], spec.strides[1] * per_group),
        dimension_numbers=direct.NHWC,
        feature_group_count=groups,
        precision=spec.precision,
    )
    # Of columns that lie between dilated taps there is no use.
    dk = dk.reshape(kernel_size[0], -1, per_group, grad.shape[3])
    return dk[:, :: spec.dilation[1]]
