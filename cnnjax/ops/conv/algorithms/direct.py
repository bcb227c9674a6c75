"""The three convolutions of a training step, in the forms that JAX itself emits.

`forward` is `lax.conv_general_dilated`; `input_grad` and `kernel_grad` are written as JAX's own
transpose rules write them. XLA's GPU compiler recognizes exactly these forms and maps them to
cuDNN; on CPU they are the baseline that the other formulations are measured against.

lax's function is taken from it when this file is imported: `ops.use_in_lax` puts ours in its place.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax
from jax.lax import ConvDimensionNumbers
from jax.lax import conv_general_dilated as lax_conv

from cnnjax.ops import sizes
from cnnjax.ops.conv.spec import ConvSpec

NHWC = ConvDimensionNumbers((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2))
"""Of images, HWIO of kernels: the places of batch or filters, channels, height and width."""


def refuses(spec: ConvSpec, input_shape: sizes.Size, kernel_shape: sizes.Size) -> str:
    """Returns "": lax computes every convolution.

    Args:
        spec: the convolution.
        input_shape: (batch, height, width, channels).
        kernel_shape: (height, width, channels / groups, filters).
    """
    del spec, input_shape, kernel_shape
    return ""


def forward(
    spec: ConvSpec, x: jax.Array, kernel: jax.Array, numbers: ConvDimensionNumbers = NHWC
) -> jax.Array:
    """Returns y(r, c) = Σ_a Σ_b x(r·s + a·d - p, c·s + b·d - p) k(a, b), summed over channels too.

    Args:
        spec: the convolution.
        x: images, (batch, height, width, channels).
        kernel: (height, width, channels / groups, filters).
        numbers: the places of the axes, if others.
    """
    if spec.onednn:
        x, spec = _without_idle_strides(spec, x, kernel, numbers)
    return lax_conv(
        x,
        kernel,
        window_strides=spec.strides,
        padding=spec.padding,
        rhs_dilation=spec.dilation,
        dimension_numbers=numbers,
        feature_group_count=spec.groups,
        precision=spec.precision,
    )


def _without_idle_strides(
    spec: ConvSpec, x: jax.Array, kernel: jax.Array, numbers: ConvDimensionNumbers
) -> tuple[jax.Array, ConvSpec]:
    """Returns images and a convolution of the same result: no stride where one window fits.

    oneDNN is called with wrong strides for one channel and one output column.
    """
    strides, padding = list(spec.strides), list(spec.padding)
    for place, (axis, of_kernel) in enumerate(
        zip(numbers.lhs_spec[2:], numbers.rhs_spec[2:], strict=True)
    ):
        low, high = padding[place]
        span = sizes.span(kernel.shape[of_kernel], spec.dilation[place])
        idle = low + x.shape[axis] + high - span
        if 0 <= idle < strides[place] and strides[place] > 1:
            # What lies behind the only window is cut off.
            end = min(x.shape[axis], max(span - low, 1))
            x = lax.slice_in_dim(x, 0, end, axis=axis)
            strides[place], padding[place] = 1, (low, span - low - end)
    return x, dataclasses.replace(spec, strides=tuple(strides), padding=tuple(padding))


def input_grad(
    spec: ConvSpec,
    input_size: sizes.Size,
    grad: jax.Array,
    kernel: jax.Array,
    numbers: ConvDimensionNumbers = NHWC,
) -> jax.Array:
    """Returns dL/dx: the flipped kernel, over the upstream gradient spread out by the stride.

    Args:
        spec: the convolution.
        input_size: height and width of the images.
        grad: dL/dy, (batch, out_height, out_width, filters).
        kernel: (height, width, channels / groups, filters).
        numbers: the places of the axes in the forward pass, if others.
    """
    lhs, (filters, channels, *axes), out = numbers
    if spec.groups > 1:
        kernel = with_groups_in_channels(kernel, spec.groups, filters, channels)
    pads = []
    for n, k, g, s, d, (low, _) in zip(
        input_size,
        (kernel.shape[axis] for axis in axes),
        (grad.shape[axis] for axis in out[2:]),
        spec.strides,
        spec.dilation,
        spec.padding,
        strict=True,
    ):
        before = sizes.span(k, d) - 1 - low
        pads.append((before, n + sizes.span(k, d) - 1 - sizes.span(g, s) - before))
    kernel = lax.rev(kernel, tuple(axes))
    if spec.onednn:
        # Within a loop, XLA hands oneDNN no kernel whose axes are named in another order.
        kernel = kernel.swapaxes(filters, channels)
    else:
        filters, channels = channels, filters
    return lax_conv(
        grad,
        kernel,
        window_strides=(1, 1),
        padding=pads,
        lhs_dilation=spec.strides,
        rhs_dilation=spec.dilation,
        dimension_numbers=ConvDimensionNumbers(out, (filters, channels, *axes), lhs),
        feature_group_count=spec.groups,
        precision=spec.precision,
    )


def kernel_grad(
    spec: ConvSpec,
    kernel_size: sizes.Size,
    x: jax.Array,
    grad: jax.Array,
    numbers: ConvDimensionNumbers = NHWC,
) -> jax.Array:
    """Returns dL/dk: the input correlated with the upstream gradient, summed over the batch.

    Args:
        spec: the convolution.
        kernel_size: height and width of the kernel.
        x: images, (batch, height, width, channels).
        grad: dL/dy, (batch, out_height, out_width, filters).
        numbers: the places of the axes in the forward pass, if others.
    """
    lhs, rhs, out = numbers
    if spec.onednn:
        spec, x = _with_a_row_to_cut_off(spec, x, lhs[2])
    input_size, output_size = (
        (array.shape[axes[2]], array.shape[axes[3]]) for array, axes in ((x, lhs), (grad, out))
    )
    return lax_conv(
        x,
        grad,
        window_strides=spec.dilation,
        padding=kernel_grad_pads(spec, input_size, kernel_size, output_size),
        rhs_dilation=spec.strides,
        dimension_numbers=ConvDimensionNumbers(_exchanged(lhs), _exchanged(out), _exchanged(rhs)),
        batch_group_count=spec.groups,
        precision=spec.precision,
    )


def kernel_grad_pads(
    spec: ConvSpec, input_size: sizes.Size, kernel_size: sizes.Size, output_size: sizes.Size
) -> sizes.Pads:
    """Returns how the images are padded where the upstream gradient slides over them.

    Args:
        spec: the convolution.
        input_size: height and width of the images.
        kernel_size: height and width of the kernel.
        output_size: height and width of the upstream gradient.
    """
    rows, columns = (
        (low, sizes.span(g, s) - n + sizes.span(k, d) - 1 - low)
        for n, k, g, s, d, (low, _) in zip(
            input_size,
            kernel_size,
            output_size,
            spec.strides,
            spec.dilation,
            spec.padding,
            strict=True,
        )
    )
    return rows, columns


def _with_a_row_to_cut_off(spec: ConvSpec, x: jax.Array, axis: int) -> tuple[ConvSpec, jax.Array]:
    """Pads the images by their first rows and one more, which a padding of -1 cuts off.

    oneDNN's form of dL/dk is slow (13.0 against 5.9 ms for 3 to 64 channels at 224x224), and XLA
    hands it no convolution with a negative padding.
    """
    (low, high), columns = spec.padding
    if low < 0 or high < 0:
        return spec, x
    config = [(0, 0, 0)] * x.ndim
    config[axis] = (low + 1, 0, 0)
    spec = dataclasses.replace(spec, padding=((-1, high), columns))
    return spec, lax.pad(x, jnp.zeros((), x.dtype), config)


def _exchanged(axes: Sequence[int]) -> tuple[int, ...]:
    """Returns the same axes with batch and channels, or filters and channels, exchanged."""
    return (axes[1], axes[0], *axes[2:])


def with_groups_in_channels(
    kernel: jax.Array, groups: int, filters: int = 3, channels: int = 2
) -> jax.Array:
    """Moves the group from the filters to the channels: O(g f) I(c) becomes O(f) I(g c).

    Args:
        kernel: a kernel of several groups.
        groups: how many.
        filters: the place of its filters.
        channels: the place of its channels.
    """
    shape = list(kernel.shape)
    shape[filters : filters + 1] = [groups, shape[filters] // groups]
    kernel = jnp.moveaxis(kernel.reshape(shape), filters, channels)
    shape = list(kernel.shape)
    shape[channels : channels + 2] = [groups * shape[channels + 1]]
    return kernel.reshape(shape)
