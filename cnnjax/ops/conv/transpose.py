"""Transposed convolution: the adjoint of `conv2d`, used to enlarge feature maps.

`lax.conv_transpose` adds up flipped kernels, unless it is called with `transpose_kernel=True`.
"""

from __future__ import annotations

import jax
from jax import lax
from jaxtyping import Array, Float

from cnnjax.ops import sizes
from cnnjax.ops.agreement import check_dtypes
from cnnjax.ops.arguments.table import CONVOLUTION, checked
from cnnjax.ops.checks import check_elements, pair
from cnnjax.ops.conv import dispatch, rules
from cnnjax.ops.conv import spec as conv_spec

_OP = "conv2d_transpose"
_KINDS = {
    **{name: kind for name, kind in CONVOLUTION.items() if name != "padding_mode"},
    "output_padding": "pair from 0 or None",
}


@checked(**_KINDS)
def conv2d_transpose(
    x: Float[Array, "batch height width channels"],
    kernel: Float[Array, "kernel_height kernel_width channels_per_group filters"],
    *,
    strides: sizes.PairLike = 1,
    padding: sizes.PaddingLike = "SAME",
    output_padding: sizes.PairLike | None = None,
    dilation: sizes.PairLike = 1,
    groups: int = 1,
    precision: lax.PrecisionLike = None,
    algorithm: str | None = None,
    backward: str = "ours",
) -> Float[Array, "batch out_height out_width filters"]:
    """Adds up copies of the kernel, one for each input pixel: y(s·r + a) += x(r) k(a).

    It is dL/dx of the `conv2d` from y's size to x's with the same strides, padding and dilation
    (Dumoulin and Visin 2016, section 4). Its own gradients are therefore a `conv2d` (dL/dx) and a
    `conv2d_kernel_grad` with the roles of image and upstream gradient exchanged (dL/dk).

    Args:
        x: images, (batch, height, width, channels).
        kernel: (height, width, channels / groups, filters), of the same dtype.
        strides: step between copies, an int or a pair.
        padding: what is cut off the result: "SAME" (output size is input size times stride),
            "VALID" (nothing), an int, a pair, or ((top, bottom), (left, right)).
        output_padding: rows and columns added at the bottom and right, less than the strides.
        dilation: step between kernel taps.
        groups: number of blocks that channels and filters are cut into.
        precision: lax's precision of the products.
        algorithm: as in `conv2d`, of the convolution that this is the gradient of.
        backward: "ours", or "native" for lax's own differentiation.

    Returns:
        (batch, out_height, out_width, filters), with out = (D - 1) S - 2P + K + output_padding.

    Raises:
        ValueError: an argument is out of range, or the shapes do not fit.
        TypeError: the dtypes differ or are not floating.

    Example:
        >>> import jax.numpy as jnp
        >>> from cnnjax import ops
        >>> ops.conv2d_transpose(jnp.ones((1, 4, 4, 2)), jnp.ones((3, 3, 2, 5)), strides=2).shape
        (1, 8, 8, 5)
    """
    check_dtypes(_OP, x=x, kernel=kernel)
    conv_spec.check_shapes(_OP, x.shape, kernel.shape, groups)
    steps = pair(_OP, "strides", strides)
    holes = pair(_OP, "dilation", dilation)
    extra = _output_padding(output_padding, steps)
    pads, out_size = _pads_and_size(x.shape[1:3], kernel.shape[:2], padding, steps, holes, extra)
    _check_uncut(x, kernel, pads, out_size, padding=padding, strides=strides, dilation=dilation)
    axis = conv_spec.batch_axis_of(groups)
    spec = conv_spec.ConvSpec(steps, pads, holes, groups, precision, algorithm, axis)
    with jax.named_scope(_OP):
        turned = _exchanged(kernel, groups)
        dispatch.check_algorithm(_OP, spec, (x.shape[0], *out_size, kernel.shape[3]), turned.shape)
        return rules.input_grad(
            x, turned, spec=spec, input_size=out_size, backward=backward, within=_OP
        )


def _check_uncut(x, kernel, pads, out_size, **arguments) -> None:
    rows, columns = (n + low + high for n, (low, high) in zip(out_size, pads, strict=True))
    shape = (x.shape[0], rows, columns, kernel.shape[3])
    check_elements(_OP, "the output before its edges are cut off", shape, **arguments)


def _output_padding(output_padding: sizes.PairLike | None, steps: sizes.Pair) -> sizes.Pair:
    extra = pair(_OP, "output_padding", output_padding or 0, minimum=0)
    if any(e >= s for e, s in zip(extra, steps, strict=True)):
        raise ValueError(
            f"{_OP}: output_padding {extra} must be less than the strides {steps}; a larger output "
            "is not what a convolution with these strides maps to the input's size"
        )
    return extra


def _pads_and_size(
    input_size: sizes.Size,
    window: sizes.Size,
    padding: sizes.PaddingLike,
    steps: sizes.Pair,
    holes: sizes.Pair,
    extra: sizes.Pair,
) -> tuple[sizes.Pads, sizes.Pair]:
    """Returns the padding of the convolution that this is the gradient of, and the output size."""
    if isinstance(padding, str) and padding.upper() != "VALID":
        # The words describe the convolution, whose input is the output here.
        size = tuple(n * s for n, s in zip(input_size, steps, strict=True))
        pads = sizes.resolve_padding(_OP, padding, (size[0], size[1]), window, steps, holes)
    else:
        pads = sizes.resolve_padding(_OP, padding, input_size, window)
        size = tuple(
            (n - 1) * s - low - high + sizes.span(k, d)
            for n, s, (low, high), k, d in zip(input_size, steps, pads, window, holes, strict=True)
        )
    out_size = (size[0] + extra[0], size[1] + extra[1])
    if min(out_size) < 1:
        raise ValueError(
            f"{_OP}: padding {padding!r} cuts everything off, the output size would be {out_size} "
            f"for x of the size {input_size}; pad less"
        )
    return pads, out_size


def _exchanged(kernel: jax.Array, groups: int) -> jax.Array:
    """Returns the kernel with channels and filters exchanged within each group."""
    height, width, channels, filters = kernel.shape
    kernel = kernel.reshape(height, width, channels, groups, filters // groups)
    return kernel.transpose(0, 1, 4, 3, 2).reshape(height, width, filters // groups, -1)
