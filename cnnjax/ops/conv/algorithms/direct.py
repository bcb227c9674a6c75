"""The three convolutions of a training step, in the forms that JAX itself emits.

`forward` is `lax.conv_general_dilated`; `input_grad` and `kernel_grad` are written as JAX's own
transpose rules write them. XLA's GPU compiler recognizes exactly these forms and maps them to
cuDNN; on CPU they are the baseline that the other formulations are measured against.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

from cnnjax.ops import sizes
from cnnjax.ops.conv.spec import ConvSpec

NHWC = ("NHWC", "HWIO", "NHWC")
# The same axes with the roles of batch and channels, or of channels and filters, exchanged.
_INPUT_GRAD = ("NHWC", "HWOI", "NHWC")
_KERNEL_GRAD = ("CHWN", "IHWO", "HWNC")


def refuses(spec: ConvSpec, input_shape: sizes.Size, kernel_shape: sizes.Size) -> str:
    """Returns "": lax computes every convolution.

    Args:
        spec: the convolution.
        input_shape: (batch, height, width, channels).
        kernel_shape: (height, width, channels / groups, filters).
    """
    del spec, input_shape, kernel_shape
    return ""


def forward(spec: ConvSpec, x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Returns y(r, c) = Σ_a Σ_b x(r·s + a·d - p, c·s + b·d - p) k(a, b), summed over channels too.

    Args:
        spec: the convolution.
        x: images, (batch, height, width, channels).
        kernel: (height, width, channels / groups, filters).
    """
    return lax.conv_general_dilated(
        x,
        kernel,
        window_strides=spec.strides,
        padding=spec.padding,
        rhs_dilation=spec.dilation,
        dimension_numbers=NHWC,
        feature_group_count=spec.groups,
        precision=spec.precision,
    )


def input_grad(
    spec: ConvSpec, input_size: sizes.Size, grad: jax.Array, kernel: jax.Array
) -> jax.Array:
    """Returns dL/dx: the flipped kernel, over the upstream gradient spread out by the stride.

    Args:
        spec: the convolution.
        input_size: height and width of the images.
        grad: dL/dy, (batch, out_height, out_width, filters).
        kernel: (height, width, channels / groups, filters).
    """
    height, width, channels, filters = kernel.shape
    if spec.groups > 1:
        # The group moves from the filters to the channels: O(g f) I(c) becomes O(f) I(g c).
        kernel = kernel.reshape(height, width, channels, spec.groups, filters // spec.groups)
        kernel = jnp.moveaxis(kernel, 3, 2)
        kernel = kernel.reshape(height, width, spec.groups * channels, filters // spec.groups)
    pads = []
    for n, k, g, s, d, (low, _) in zip(
        input_size,
        (height, width),
        grad.shape[1:3],
        spec.strides,
        spec.dilation,
        spec.padding,
        strict=True,
    ):
        before = sizes.span(k, d) - 1 - low
        pads.append((before, n + sizes.span(k, d) - 1 - sizes.span(g, s) - before))
    return lax.conv_general_dilated(
        grad,
        lax.rev(kernel, (0, 1)),
        window_strides=(1, 1),
        padding=pads,
        lhs_dilation=spec.strides,
        rhs_dilation=spec.dilation,
        dimension_numbers=_INPUT_GRAD,
        feature_group_count=spec.groups,
        precision=spec.precision,
    )


def kernel_grad(
    spec: ConvSpec, kernel_size: sizes.Size, x: jax.Array, grad: jax.Array
) -> jax.Array:
    """Returns dL/dk: the input correlated with the upstream gradient, summed over the batch.

    Args:
        spec: the convolution.
        kernel_size: height and width of the kernel.
        x: images, (batch, height, width, channels).
        grad: dL/dy, (batch, out_height, out_width, filters).
    """
    pads = [
        (low, sizes.span(g, s) - n + sizes.span(k, d) - 1 - low)
        for n, k, g, s, d, (low, _) in zip(
            x.shape[1:3],
            kernel_size,
            grad.shape[1:3],
            spec.strides,
            spec.dilation,
            spec.padding,
            strict=True,
        )
    ]
    return lax.conv_general_dilated(
        x,
        grad,
        window_strides=spec.dilation,
        padding=pads,
        rhs_dilation=spec.strides,
        dimension_numbers=_KERNEL_GRAD,
        batch_group_count=spec.groups,
        precision=spec.precision,
    )
