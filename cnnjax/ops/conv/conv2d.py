"""Two-dimensional convolution, as networks use it (`conv2d`) and as textbooks define it."""

from __future__ import annotations

import dataclasses

from jax import lax
from jaxtyping import Array, Float

from cnnjax.ops import sizes
from cnnjax.ops.checks import check_dtypes
from cnnjax.ops.conv import dispatch
from cnnjax.ops.conv import rules as conv_rules
from cnnjax.ops.conv import spec as conv_spec
from cnnjax.ops.padding import check_mode, is_zeros, pad_images
from cnnjax.ops.rules import check_backward


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
        groups: blocks that channels and filters are cut into; `groups == channels` is depthwise.
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
    """
    check_backward("conv2d", backward)
    check_dtypes("conv2d", x=x, kernel=kernel)
    spec, pads = prepare(
        "conv2d",
        x.shape,
        kernel.shape,
        padding,
        padding_mode,
        strides=strides,
        dilation=dilation,
        groups=groups,
        precision=precision,
        algorithm=algorithm,
    )
    x = pad_images(x, pads, padding_mode) if pads else x
    if backward == "native":
        return dispatch.run_native("forward", spec, (), x, kernel)
    return conv_rules.forward(x, kernel, spec=spec)


def convolve2d(
    x: Float[Array, "batch height width channels"],
    kernel: Float[Array, "kernel_height kernel_width channels_per_group filters"],
    **options,
) -> Float[Array, "batch out_height out_width filters"]:
    """True convolution: `conv2d` with the kernel flipped over both axes.

    y(r, c) = Σ_a Σ_b x(r - a, c - b) k(a, b), up to the offset that the padding sets. Arguments,
    result and errors are those of `conv2d`.
    """
    return conv2d(x, lax.rev(kernel, (0, 1)) if kernel.ndim == 4 else kernel, **options)


def prepare(
    op: str,
    input_shape: tuple[int, ...],
    kernel_shape: tuple[int, ...],
    padding: sizes.PaddingLike,
    padding_mode: str | float,
    **options,
) -> tuple[conv_spec.ConvSpec, sizes.Pads | None]:
    """Returns the checked specification, and the pads to add first where they are not zeros.

    Raises:
        ValueError: as `conv2d`.
    """
    check_mode(op, padding_mode)
    spec = conv_spec.parse(op, input_shape, kernel_shape, padding=padding, **options)
    dispatch.check_algorithm(op, spec, input_shape, kernel_shape)
    if is_zeros(padding_mode):
        return spec, None
    return dataclasses.replace(spec, padding=((0, 0), (0, 0))), spec.padding
