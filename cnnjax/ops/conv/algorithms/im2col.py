"""Convolution as one matrix product on unrolled windows: im2col, and its adjoint col2im."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from cnnjax.ops import sizes
from cnnjax.ops.accumulation import sum_dtype
from cnnjax.ops.arguments.table import checked
from cnnjax.ops.checks import MOST_TERMS, check_elements, pair
from cnnjax.ops.conv.algorithms.taps import (
    all_taps,
    product,
    product_with_transpose,
    shifted,
    zero_pad,
)
from cnnjax.ops.conv.spec import ConvSpec

_GEOMETRY = {
    "kernel_size": "pair",
    "strides": "pair",
    "padding": "padding",
    "dilation": "pair",
}


def refuses(spec: ConvSpec, input_shape: sizes.Size, kernel_shape: sizes.Size) -> str:
    """Returns why the groups are too many for a product each, or "".

    Args:
        spec: the convolution.
        input_shape: (batch, height, width, channels).
        kernel_shape: (height, width, channels / groups, filters).
    """
    del input_shape, kernel_shape
    return "" if spec.groups <= MOST_TERMS else f"needs at most {MOST_TERMS} groups"


@checked(x="images", **_GEOMETRY)
def im2col(
    x: Float[Array, "batch height width channels"],
    kernel_size: sizes.PairLike,
    *,
    strides: sizes.PairLike = 1,
    padding: sizes.PaddingLike = "SAME",
    dilation: sizes.PairLike = 1,
) -> Float[Array, "batch out_height out_width row"]:
    """Returns the window under each output pixel, unrolled into one row of numbers.

    Args:
        x: images, (batch, height, width, channels).
        kernel_size: height and width of the window.
        strides: step between windows.
        padding: as in `conv2d`.
        dilation: step between the window's pixels.

    Returns:
        (batch, out_height, out_width, kernel_height * kernel_width * channels), the taps row by row
        and the channels within each tap, so that `im2col(x) @ kernel.reshape(-1, filters)` is
        `conv2d`.

    Raises:
        ValueError: an argument is out of range, or the window is larger than the padded image.

    Example:
        >>> import jax.numpy as jnp
        >>> from cnnjax import ops
        >>> ops.im2col(jnp.arange(5.0).reshape(1, 1, 5, 1), (1, 3), padding="VALID")[0, 0]
        Array([[0., 1., 2.],
               [1., 2., 3.],
               [2., 3., 4.]], dtype=float32)
    """
    geometry = _geometry("im2col", x.shape, kernel_size, strides, padding, dilation)
    with jax.named_scope("im2col"):
        return _unroll(x, *geometry)


@checked(columns="images", input_shape="shape", **_GEOMETRY)
def col2im(
    columns: Float[Array, "batch out_height out_width row"],
    input_shape: tuple[int, int, int, int],
    kernel_size: sizes.PairLike,
    *,
    strides: sizes.PairLike = 1,
    padding: sizes.PaddingLike = "SAME",
    dilation: sizes.PairLike = 1,
) -> Float[Array, "batch height width channels"]:
    """Returns the sum of all unrolled windows, each at its place: the adjoint of `im2col`.

    Args:
        columns: as `im2col` returns them.
        input_shape: the shape of the images, (batch, height, width, channels).
        kernel_size: as in `im2col`.
        strides: as in `im2col`.
        padding: as in `im2col`.
        dilation: as in `im2col`.

    Returns:
        Images of `input_shape`: each pixel is the sum of its copies.

    Raises:
        ValueError: an argument is out of range, or `columns` is not of `im2col`'s shape.

    Example:
        Each pixel counts the windows that it lies in.

        >>> import jax.numpy as jnp
        >>> from cnnjax import ops
        >>> rows = jnp.ones((1, 1, 3, 3))
        >>> ops.col2im(rows, (1, 1, 5, 1), (1, 3), padding="VALID")[0, 0, :, 0]
        Array([1., 2., 3., 2., 1.], dtype=float32)
    """
    check_elements("col2im", "the images", input_shape, input_shape=input_shape)
    window, strides, pads, dilation, out_size = _geometry(
        "col2im", input_shape, kernel_size, strides, padding, dilation
    )
    expected = (input_shape[0], *out_size, window[0] * window[1] * input_shape[3])
    if columns.shape != expected:
        raise ValueError(
            f"col2im: columns must have the shape {expected} for images of {tuple(input_shape)} "
            f"with kernel_size={window}, strides={strides}, padding={pads}, dilation={dilation}; "
            f"got {columns.shape}"
        )
    with jax.named_scope("col2im"):
        return _roll_back(columns, tuple(input_shape), window, strides, pads, dilation)


def forward(spec: ConvSpec, x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Returns y = im2col(x) k, group by group.

    Args:
        spec: the convolution.
        x: images, (batch, height, width, channels).
        kernel: (height, width, channels / groups, filters).
    """
    window = kernel.shape[:2]
    out_size = spec.output_size(x.shape[1:3], window)
    parts = [
        product(
            _unroll(part, window, spec.strides, spec.padding, spec.dilation, out_size).reshape(
                -1, window[0] * window[1] * part.shape[3]
            ),
            block.reshape(-1, block.shape[3]),
            spec.precision,
        )
        for part, block in zip(_split(x, spec), _split(kernel, spec), strict=True)
    ]
    return jnp.concatenate(parts, axis=1).reshape(x.shape[0], *out_size, kernel.shape[3])


def input_grad(
    spec: ConvSpec, input_size: sizes.Size, grad: jax.Array, kernel: jax.Array
) -> jax.Array:
    """Returns dL/dx = col2im(g kᵀ), group by group.

    Args:
        spec: the convolution.
        input_size: height and width of the images.
        grad: dL/dy, (batch, out_height, out_width, filters).
        kernel: (height, width, channels / groups, filters).
    """
    window, channels = kernel.shape[:2], kernel.shape[2]
    shape = (grad.shape[0], *input_size, channels)
    wide = sum_dtype(grad.dtype)
    parts = []
    for part, block in zip(_split(grad, spec), _split(kernel, spec), strict=True):
        # Half types are rounded once, after the windows are added up.
        columns = product_with_transpose(
            part.reshape(-1, part.shape[3]).astype(wide),
            block.reshape(-1, block.shape[3]).astype(wide),
            spec.precision,
        )
        columns = columns.reshape(*grad.shape[:3], -1)
        parts.append(_roll_back(columns, shape, window, spec.strides, spec.padding, spec.dilation))
    return jnp.concatenate(parts, axis=3).astype(grad.dtype)


def kernel_grad(
    spec: ConvSpec, kernel_size: sizes.Size, x: jax.Array, grad: jax.Array
) -> jax.Array:
    """Returns dL/dk = im2col(x)ᵀ g, group by group.

    Args:
        spec: the convolution.
        kernel_size: height and width of the kernel.
        x: images, (batch, height, width, channels).
        grad: dL/dy, (batch, out_height, out_width, filters).
    """
    parts = []
    for part, upstream in zip(_split(x, spec), _split(grad, spec), strict=True):
        columns = _unroll(
            part, kernel_size, spec.strides, spec.padding, spec.dilation, grad.shape[1:3]
        )
        columns = columns.reshape(-1, columns.shape[3])
        # As (gᵀ x)ᵀ: a product is slow where its left operand is transposed, and x is the larger.
        turned = upstream.reshape(-1, upstream.shape[3]).T
        dk = product(turned, columns, spec.precision).T
        parts.append(dk.reshape(*kernel_size, part.shape[3], upstream.shape[3]))
    return jnp.concatenate(parts, axis=3)


def _geometry(op, input_shape, kernel_size, strides, padding, dilation):
    window = pair(op, "kernel_size", kernel_size)
    strides = pair(op, "strides", strides)
    dilation = pair(op, "dilation", dilation)
    size = tuple(input_shape[1:3])
    pads = sizes.resolve_padding(op, padding, size, window, strides, dilation)
    out_size = sizes.checked_output_size(op, size, window, strides, pads, dilation)
    height, width = (n + low + high for n, (low, high) in zip(size, pads, strict=True))
    arguments = dict(kernel_size=window, strides=strides, padding=padding, dilation=dilation)
    padded = (input_shape[0], height, width, input_shape[3])
    check_elements(op, "the padded images", padded, **arguments)
    rows = (input_shape[0], *out_size, window[0] * window[1] * input_shape[3])
    check_elements(op, "the unrolled windows", rows, **arguments)
    return window, strides, pads, dilation, out_size


def _unroll(x, window, strides, pads, dilation, out_size):
    padded = zero_pad(x, pads)
    if window[0] * window[1] > MOST_TERMS:
        return _gather(padded, window, strides, dilation, out_size)
    taps = [shifted(padded, tap, out_size, strides, dilation) for tap in all_taps(window)]
    return jnp.concatenate(taps, axis=3)


def _gather(padded, window, strides, dilation, out_size):
    """Returns the unrolled windows by two look-ups, of rows and of columns."""
    rows, columns = (
        (np.arange(n)[:, None] * s + np.arange(k) * d).astype(np.int32)
        for n, k, s, d in zip(out_size, window, strides, dilation, strict=True)
    )
    # (batch, out_height, kernel_height, out_width, kernel_width, channels).
    taps = padded[:, jnp.asarray(rows)][:, :, :, jnp.asarray(columns)]
    return taps.transpose(0, 1, 3, 2, 4, 5).reshape(padded.shape[0], *out_size, -1)


def _roll_back(columns, input_shape, window, strides, pads, dilation):
    if window[0] * window[1] > MOST_TERMS:
        wide = columns.astype(sum_dtype(columns.dtype))
        like = jax.ShapeDtypeStruct(input_shape, wide.dtype)
        geometry = dict(window=window, strides=strides, pads=pads, dilation=dilation)
        unroll = partial(_unroll, out_size=columns.shape[1:3], **geometry)
        return jax.linear_transpose(unroll, like)(wide)[0].astype(columns.dtype)
    # Half types are summed in float32 and rounded once.
    taps = jnp.split(columns.astype(sum_dtype(columns.dtype)), window[0] * window[1], axis=3)
    zero = jnp.zeros((), taps[0].dtype)
    padded = [n + low + high for n, (low, high) in zip(input_shape[1:3], pads, strict=True)]
    total = jnp.zeros((input_shape[0], *padded, input_shape[3]), taps[0].dtype)
    for tap, part in zip(all_taps(window), taps, strict=True):
        config = [(0, 0, 0)]
        for t, n, s, d, length in zip(tap, part.shape[1:3], strides, dilation, padded, strict=True):
            config.append((t * d, length - t * d - sizes.span(n, s), s - 1))
        total = total + lax.pad(part, zero, (*config, (0, 0, 0)))
    cut = tuple((-low, -high) for low, high in pads)
    return zero_pad(total, (cut[0], cut[1])).astype(columns.dtype)


def _split(x: jax.Array, spec: ConvSpec) -> list[jax.Array]:
    return [x] if spec.groups == 1 else jnp.split(x, spec.groups, axis=3)
