"""Max, average and sum pooling of NHWC images."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from cnnjax.ops.accumulation import sum_dtype
from cnnjax.ops.arguments.table import POOLING, checked
from cnnjax.ops.pool.max_pool import max_windows
from cnnjax.ops.pool.sums import sum_windows
from cnnjax.ops.pool.window import PoolWindow, pool_window
from cnnjax.ops.sizes import PaddingLike, PairLike

__all__ = ["avg_pool", "global_avg_pool", "global_max_pool", "max_pool", "sum_pool"]


@checked(**POOLING)
def max_pool(
    x: Float[Array, "batch height width channels"],
    window: PairLike,
    *,
    strides: PairLike | None = None,
    padding: PaddingLike = "VALID",
    dilation: PairLike = 1,
    ceil_mode: bool = False,
    backward: str = "ours",
) -> Float[Array, "batch out_height out_width channels"]:
    """Returns the maximum over each window; the gradient goes to the maximum alone.

    Of equal maxima the first, row by row, gets the gradient, as in lax. Padding counts as -inf. A
    NaN in the window gives NaN.

    Args:
        x: images, (batch, height, width, channels), floating dtype.
        window: window height and width, in pixels; an int counts for both.
        strides: steps between windows; by default the window, so that windows do not overlap.
        padding: "SAME", "VALID", an int, a pair (rows, columns) or ((top, bottom), (left, right)).
        dilation: steps between the elements of a window.
        ceil_mode: round the output size up, so that windows read the last rows and columns, too;
            windows that would start beyond the input are left out (PyTorch's rule).
        backward: "ours" for the rule written here; "native" for lax's derivative, which forward
            mode (`jax.jvp`, `jax.jacfwd`) needs.

    Returns:
        The maxima, in the dtype of `x`.

    Raises:
        ValueError: an argument is out of range, or the window is larger than the padded input.

    Example:
        >>> import jax.numpy as jnp
        >>> from cnnjax import ops
        >>> ops.max_pool(jnp.arange(16.0).reshape(1, 4, 4, 1), 2)[0, :, :, 0]
        Array([[ 5.,  7.],
               [13., 15.]], dtype=float32)

    Source: LeCun et al., 1998, section II (subsampling); Krizhevsky et al., 2012, section 3.4
    (overlapping windows).
    """
    where = pool_window("max_pool", x, window, strides, padding, dilation, ceil_mode)
    return max_windows(x, where=where, backward=backward)


@checked(**POOLING)
def sum_pool(
    x: Float[Array, "batch height width channels"],
    window: PairLike,
    *,
    strides: PairLike | None = None,
    padding: PaddingLike = "VALID",
    dilation: PairLike = 1,
    ceil_mode: bool = False,
    backward: str = "ours",
) -> Float[Array, "batch out_height out_width channels"]:
    """Returns the sum over each window; padding counts as 0.

    bfloat16 and float16 are summed in float32 and rounded once.

    Args:
        x: images, (batch, height, width, channels), floating dtype.
        window: window height and width, in pixels; an int counts for both.
        strides: steps between windows; by default the window.
        padding: as in `max_pool`.
        dilation: steps between the elements of a window.
        ceil_mode: as in `max_pool`.
        backward: as in `max_pool`.

    Returns:
        The sums, in the dtype of `x`.

    Raises:
        ValueError: an argument is out of range, or the window is larger than the padded input.

    Example:
        >>> import jax.numpy as jnp
        >>> from cnnjax import ops
        >>> ops.sum_pool(jnp.ones((1, 4, 4, 1)), 3, strides=2, padding=1)[0, :, :, 0]
        Array([[4., 6.],
               [6., 9.]], dtype=float32)
    """
    where = pool_window("sum_pool", x, window, strides, padding, dilation, ceil_mode)
    with jax.named_scope("sum_pool"):
        return _sums(x, where, backward).astype(x.dtype)


@checked(**POOLING, count_include_pad="flag")
def avg_pool(
    x: Float[Array, "batch height width channels"],
    window: PairLike,
    *,
    strides: PairLike | None = None,
    padding: PaddingLike = "VALID",
    dilation: PairLike = 1,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    backward: str = "ours",
) -> Float[Array, "batch out_height out_width channels"]:
    """Returns the mean over each window.

    bfloat16 and float16 are averaged in float32 and rounded once. What `ceil_mode` adds beyond the
    padding is never counted. A window wholly in padding that is not counted has no mean: NaN.

    Args:
        x: images, (batch, height, width, channels), floating dtype.
        window: window height and width, in pixels; an int counts for both.
        strides: steps between windows; by default the window.
        padding: as in `max_pool`.
        dilation: steps between the elements of a window.
        ceil_mode: as in `max_pool`.
        count_include_pad: divide by the number of elements of the window, padding (zeros)
            included; otherwise by the number of those inside the image.
        backward: as in `max_pool`.

    Returns:
        The means, in the dtype of `x`.

    Raises:
        ValueError: an argument is out of range, or the window is larger than the padded input.

    Example:
        >>> import jax.numpy as jnp
        >>> from cnnjax import ops
        >>> ops.avg_pool(jnp.arange(16.0).reshape(1, 4, 4, 1), 2)[0, :, :, 0]
        Array([[ 2.5,  4.5],
               [10.5, 12.5]], dtype=float32)
    """
    where = pool_window("avg_pool", x, window, strides, padding, dilation, ceil_mode)
    return means(x, where, count_include_pad, backward)


def means(
    x: jax.Array, where: PoolWindow, count_include_pad: bool, backward: str, advice: str = ""
) -> jax.Array:
    """Returns `avg_pool` as a part of the op that `where` names.

    Args:
        x: images, (batch, height, width, channels).
        where: the windows.
        count_include_pad: as in `avg_pool`.
        backward: as in `avg_pool`.
        advice: what to do in forward mode, for an op that has no argument `backward`.
    """
    with jax.named_scope("avg_pool"):
        sums = _sums(x, where, backward, advice)
        counts = where.counts(count_include_pad)
        # One number serves all windows unless some lie partly in padding.
        if counts.size and (counts == counts.flat[0]).all():
            counts = counts[:, :1, :1, :]
        return (sums / jnp.asarray(counts, sums.dtype)).astype(x.dtype)


@checked(x="images", keepdims="flag")
def global_max_pool(
    x: Float[Array, "batch height width channels"], *, keepdims: bool = False
) -> Float[Array, "batch channels"] | Float[Array, "batch 1 1 channels"]:
    """Returns the maximum over each image and channel: `max_pool` with the image as its window.

    Args:
        x: images, (batch, height, width, channels), floating dtype.
        keepdims: keep height and width as axes of size 1.

    Returns:
        (batch, channels), or (batch, 1, 1, channels), in the dtype of `x`.

    Raises:
        ValueError: `x` is not a batch of floating-point images.

    Example:
        >>> import jax.numpy as jnp
        >>> from cnnjax import ops
        >>> ops.global_max_pool(jnp.arange(8.0).reshape(1, 2, 2, 2))
        Array([[6., 7.]], dtype=float32)
    """
    where = _whole("global_max_pool", x)
    # There is no argument `backward`.
    advice = 'use max_pool(..., backward="native") with the image as its window'
    y = max_windows(x, where=where, within=where.op, advice=advice)
    return y if keepdims else y[:, 0, 0]


@checked(x="images", keepdims="flag")
def global_avg_pool(
    x: Float[Array, "batch height width channels"], *, keepdims: bool = False
) -> Float[Array, "batch channels"] | Float[Array, "batch 1 1 channels"]:
    """Returns the mean over each image and channel, summed in float32 for the half types.

    Args:
        x: images, (batch, height, width, channels), floating dtype.
        keepdims: keep height and width as axes of size 1.

    Returns:
        (batch, channels), or (batch, 1, 1, channels), in the dtype of `x`.

    Raises:
        ValueError: `x` is not a batch of floating-point images.

    Example:
        >>> import jax.numpy as jnp
        >>> from cnnjax import ops
        >>> ops.global_avg_pool(jnp.arange(8.0).reshape(1, 2, 2, 2))
        Array([[3., 4.]], dtype=float32)

    Source: Lin et al., Network in Network, 2014, section 3.2.
    """
    where = _whole("global_avg_pool", x)
    # There is no argument `backward`.
    advice = "apply global_avg_pool to the tangent of x, in which it is linear"
    y = means(x, where, True, "ours", advice)
    return y if keepdims else y[:, 0, 0]


def _whole(op: str, x: jax.Array) -> PoolWindow:
    """Returns the image as a single window."""
    size = (x.shape[1], x.shape[2])
    if 0 in size:
        raise ValueError(f"{op}: x has no pixels to pool, got shape {x.shape}")
    return pool_window(op, x, size, size, "VALID", 1, False)


def _sums(x: jax.Array, where: PoolWindow, backward: str, advice: str = "") -> jax.Array:
    """Returns the window sums in float32, or float64 for float64."""
    wide = x.astype(sum_dtype(x.dtype))
    return sum_windows.apply(wide, where=where, backward=backward, within=where.op, advice=advice)
