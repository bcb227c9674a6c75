"""Separable convolution: a two-dimensional kernel as a column times a row."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from cnnjax.ops import sizes
from cnnjax.ops.agreement import check_dtypes
from cnnjax.ops.arguments.table import CONVOLUTION, checked
from cnnjax.ops.checks import check_image_axes, given
from cnnjax.ops.conv.conv2d import cross_correlation, prepare
from cnnjax.ops.padding import padded

_KINDS = {
    name: kind
    for name, kind in CONVOLUTION.items()
    if name not in ("groups", "precision", "algorithm")
}


class Separation(NamedTuple):
    """A kernel's nearest rank-1 form.

    Attributes:
        column: (height, 1, 1, filters).
        row: (1, width, 1, filters).
        error: (filters,), the Frobenius norm of what is left out over that of the kernel.
    """

    column: Float[Array, "kernel_height 1 1 filters"]
    row: Float[Array, "1 kernel_width 1 filters"]
    error: Float[Array, " filters"]


@checked(kernel="array")
def separate_kernel(kernel: Float[Array, "kernel_height kernel_width 1 filters"]) -> Separation:
    """Returns the column and row whose outer product is nearest to each filter, and the error.

    By the singular value decomposition K = Σ σ_i u_i v_iᵀ, the nearest is σ_1 u_1 v_1ᵀ, at a
    distance √(σ_2² + σ_3² + …) (Eckart and Young 1936).

    Args:
        kernel: (height, width, 1, filters), one channel per group; float32 or float64.

    Raises:
        ValueError: the kernel sums over channels.

    Example:
        >>> import jax.numpy as jnp
        >>> from cnnjax import ops
        >>> column, row, error = ops.separate_kernel(jnp.ones((3, 3, 1, 1)))
        >>> column.shape, row.shape, bool(error[0] < 1e-6)
        ((3, 1, 1, 1), (1, 3, 1, 1), True)
    """
    return _separated("separate_kernel", kernel)


def _separated(op: str, kernel: jax.Array) -> Separation:
    """Returns the separation; the messages name `op`."""
    if kernel.dtype not in (jnp.float32, jnp.float64):
        raise TypeError(
            f"{op}: kernel must be float32 or float64, which jnp.linalg.svd takes, got "
            f"{given(kernel)}; cast it with kernel.astype(jnp.float32)"
        )
    if kernel.ndim != 4 or kernel.shape[2] != 1 or 0 in kernel.shape:
        raise ValueError(
            f"{op}: kernel must have the shape (height, width, 1, filters), one channel "
            f"per group, got {kernel.shape}; a sum over channels does not separate"
        )
    u, values, v = jnp.linalg.svd(jnp.moveaxis(kernel[:, :, 0], 2, 0), full_matrices=False)
    scale = jnp.sqrt(values[:, :1])
    column, row = u[:, :, 0] * scale, v[:, 0] * scale
    norm = jnp.linalg.norm(values, axis=1)
    # A kernel of zeros is exact, not undefined.
    error = jnp.linalg.norm(values[:, 1:], axis=1) / jnp.where(norm == 0, 1, norm)
    return Separation(column.T[:, None, None, :], row.T[None, :, None, :], error)


@checked(**_KINDS)
def separable_conv2d(
    x: Float[Array, "batch height width channels"],
    kernel: Float[Array, "kernel_height kernel_width 1 filters"],
    *,
    strides: sizes.PairLike = 1,
    padding: sizes.PaddingLike = "SAME",
    dilation: sizes.PairLike = 1,
    padding_mode: str | float = "zeros",
    backward: str = "ours",
) -> tuple[Float[Array, "batch out_height out_width filters"], Float[Array, " filters"]]:
    """Convolves each channel with the rank-1 form of its filters: K + K products in place of K·K.

    Args:
        x: images, (batch, height, width, channels).
        kernel: (height, width, 1, filters), filters a multiple of the channels (depthwise).
        strides: as in `conv2d`.
        padding: as in `conv2d`.
        dilation: as in `conv2d`.
        padding_mode: as in `conv2d`.
        backward: as in `conv2d`.

    Returns:
        The images as `conv2d(x, kernel, groups=channels, ...)` would give them for the rank-1
        kernel, and the relative error of each filter's approximation; 0 (but for rounding) where
        the filter is an outer product, as Gaussian, box and Sobel filters are.

    Raises:
        ValueError: as `conv2d` and `separate_kernel`.

    Example:
        >>> import jax.numpy as jnp
        >>> from cnnjax import ops
        >>> y, error = ops.separable_conv2d(jnp.ones((1, 5, 5, 2)), jnp.ones((3, 3, 1, 2)))
        >>> round(float(y[0, 2, 2, 0]), 3), bool((error < 1e-6).all())
        (9.0, True)
    """
    op = "separable_conv2d"
    check_image_axes(op, "x", x)
    check_dtypes(op, x=x, kernel=kernel)
    options = dict(strides=strides, dilation=dilation, groups=x.shape[-1])
    spec, pads = prepare(op, x.shape, kernel.shape, padding, padding_mode, **options)
    x = padded(op, x, pads, padding_mode) if pads else x
    # Each filter has a column of its own, so that the second convolution has a group for each.
    column, row, error = _separated(op, kernel)
    (down, across), (rows, columns) = spec.strides, spec.padding
    options = dict(strides=(down, 1), dilation=(spec.dilation[0], 1), groups=spec.groups)
    first: dict[str, Any] = dict(padding=(rows, (0, 0)), backward=backward) | options
    options = dict(strides=(1, across), dilation=(1, spec.dilation[1]), groups=kernel.shape[3])
    second: dict[str, Any] = dict(padding=((0, 0), columns), backward=backward) | options
    down_columns = cross_correlation(op, x, column, **first)
    return cross_correlation(op, down_columns, row, **second), error
