"""Two-dimensional convolution, as networks use it (`conv2d`) and as textbooks define it."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
from jax import lax
from jaxtyping import Array, Float

from cnnjax.ops import sizes
from cnnjax.ops.agreement import check_dtypes
from cnnjax.ops.arguments.table import CONVOLUTION, checked
from cnnjax.ops.conv import dispatch
from cnnjax.ops.conv import rules as conv_rules
from cnnjax.ops.conv import spec as conv_spec
from cnnjax.ops.padding import is_zeros, padded


@checked(**CONVOLUTION)
def conv2d(
    x: Float[Array, "batch height width channels"],
    kernel: Float[Array, "kernel_height kernel_width channels_per_group filters"],
    *,
    strides: sizes.PairLike = 1,
    padding: sizes.PaddingLike = "SAME",
    dilation: sizes.PairLike = 1,
    groups: int = 1,
    padding_mode: str | float = "zeros",
    precision: lax.PrecisionLike = None,
    algorithm: str | None = None,
    backward: str = "ours",
) -> Float[Array, "batch out_height out_width filters"]:
    """Cross-correlates images with a kernel: y(r, c) = Σ_a Σ_b x(r + a, c + b) k(a, b).

    The sum runs over the channels as well. Output sizes are `sizes.output_size`. Gradients are
    `conv2d_input_grad` and `conv2d_kernel_grad`.

    Args:
        x: images, (batch, height, width, channels); float32, bfloat16, float16 or float64.
        kernel: (height, width, channels / groups, filters), of the same dtype.
        strides: step between windows, an int or a pair.
        padding: "SAME", "SAME_LOWER", "VALID", an int, a pair of ints, or
            ((top, bottom), (left, right)).
        dilation: step between kernel taps, an int or a pair.
        groups: number of blocks that channels and filters are cut into; `groups == channels` is
            depthwise.
        padding_mode: "zeros", "replicate", "reflect", "circular" or a constant to pad with.
        precision: lax's precision of the products.
        algorithm: None for the measured choice, or the name of one of `dispatch.ALGORITHMS`.
        backward: "ours" for the hand-derived rules (reverse mode); "native" for lax's own
            differentiation, which forward mode (`jax.jvp`, `jax.jacfwd`) needs.

    Returns:
        (batch, out_height, out_width, filters) in the dtype of `x`. The half types are summed in
        float32 and rounded once.

    Raises:
        ValueError: an argument is out of range, or the shapes do not fit.
        TypeError: the dtypes differ or are not floating.

    Example:
        >>> import jax.numpy as jnp
        >>> from cnnjax import ops
        >>> x, kernel = jnp.ones((1, 4, 4, 2)), jnp.ones((3, 3, 2, 1))
        >>> ops.conv2d(x, kernel, padding="VALID")[0, :, :, 0]
        Array([[18., 18.],
               [18., 18.]], dtype=float32)
    """
    options: dict[str, Any] = dict(padding=padding, padding_mode=padding_mode, groups=groups)
    steps: dict[str, Any] = dict(strides=strides, dilation=dilation)
    how: dict[str, Any] = dict(precision=precision, algorithm=algorithm, backward=backward)
    return cross_correlation("conv2d", x, kernel, **options, **steps, **how)


@checked(**CONVOLUTION)
def convolve2d(
    x: Float[Array, "batch height width channels"],
    kernel: Float[Array, "kernel_height kernel_width channels_per_group filters"],
    **options,
) -> Float[Array, "batch out_height out_width filters"]:
    """Convolves images with a kernel: `conv2d` with the kernel flipped over both axes.

    y(r, c) = Σ_a Σ_b x(r - a, c - b) k(a, b), up to the offset that the padding sets. Result and
    errors are those of `conv2d`.

    Args:
        x: images, (batch, height, width, channels).
        kernel: (height, width, channels / groups, filters), of the same dtype.
        **options: the keyword arguments of `conv2d`.

    Example:
        A point becomes the kernel; `conv2d` gives its mirror image.

        >>> import jax.numpy as jnp
        >>> from cnnjax import ops
        >>> x = jnp.zeros((1, 1, 5, 1)).at[0, 0, 2, 0].set(1.0)
        >>> kernel = jnp.array([1.0, 2.0, 3.0]).reshape(1, 3, 1, 1)
        >>> ops.convolve2d(x, kernel)[0, 0, :, 0]
        Array([0., 1., 2., 3., 0.], dtype=float32)
    """
    check_dtypes("convolve2d", x=x, kernel=kernel)
    flipped = lax.rev(kernel, (0, 1)) if kernel.ndim == 4 else kernel
    return cross_correlation("convolve2d", x, flipped, **options)


def cross_correlation(
    op: str,
    x: jax.Array,
    kernel: jax.Array,
    *,
    padding: sizes.PaddingLike = "SAME",
    padding_mode: str | float = "zeros",
    backward: str = "ours",
    advice: str = "",
    **options: Any,
) -> jax.Array:
    """Returns `conv2d` as a part of another op, which has checked the kinds of the arguments.

    Args:
        op: the calling function, for the messages.
        x: as in `conv2d`.
        kernel: as in `conv2d`.
        padding: as in `conv2d`.
        padding_mode: as in `conv2d`.
        backward: as in `conv2d`.
        advice: what to do in forward mode, for an op that has no argument `backward`.
        **options: the other keyword arguments of `conv2d`.

    Raises:
        ValueError: as `conv2d`.
        TypeError: as `conv2d`.
    """
    check_dtypes(op, x=x, kernel=kernel)
    options = {"strides": 1, "dilation": 1, "groups": 1} | options
    spec, pads = prepare(op, x.shape, kernel.shape, padding, padding_mode, **options)
    x = padded(op, x, pads, padding_mode) if pads else x
    return conv_rules.forward(x, kernel, spec=spec, backward=backward, within=op, advice=advice)


def prepare(
    op: str,
    input_shape: tuple[int, ...],
    kernel_shape: tuple[int, ...],
    padding: sizes.PaddingLike,
    padding_mode: str | float,
    **options,
) -> tuple[conv_spec.ConvSpec, sizes.Pads | None]:
    """Returns the checked specification, and the pads to add first where they are not zeros.

    Args:
        op: the calling function, for the messages.
        input_shape: (batch, height, width, channels).
        kernel_shape: (height, width, channels / groups, filters).
        padding: as in `conv2d`.
        padding_mode: as in `conv2d`.
        **options: of `spec.parse`: strides, dilation, groups, and what else it takes.

    Raises:
        ValueError: as `conv2d`.
    """
    spec = conv_spec.parse(op, input_shape, kernel_shape, padding=padding, **options)
    dispatch.check_algorithm(op, spec, input_shape, kernel_shape)
    if is_zeros(padding_mode):
        return spec, None
    # Only zeros are padded by the convolution itself.
    return dataclasses.replace(spec, padding=((0, 0), (0, 0))), spec.padding
