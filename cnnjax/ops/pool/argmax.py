"""Max pooling with the positions of the maxima, and its partial inverse."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Integer

from cnnjax.ops.arguments.table import POOLING, checked
from cnnjax.ops.checks import MOST_STEPS, check_elements, is_int
from cnnjax.ops.pool.choice import chosen_offsets
from cnnjax.ops.pool.max_pool import (
    choose,
    max_windows,
    max_windows_input_grad,
    native_max_windows,
    offsets_of,
)
from cnnjax.ops.pool.places import places, take
from cnnjax.ops.pool.window import PoolWindow, pool_window
from cnnjax.ops.rules import make_op
from cnnjax.ops.sizes import PaddingLike, PairLike

__all__ = ["max_pool_with_argmax", "max_unpool"]


@checked(**POOLING)
def max_pool_with_argmax(
    x: Float[Array, "batch height width channels"],
    window: PairLike,
    *,
    strides: PairLike | None = None,
    padding: PaddingLike = "VALID",
    dilation: PairLike = 1,
    ceil_mode: bool = False,
    backward: str = "ours",
) -> tuple[
    Float[Array, "batch out_height out_width channels"],
    Int[Array, "batch out_height out_width channels"],
]:
    """Returns `max_pool`, and where in the image each maximum was.

    The place is that of the element that gets the gradient. It is -1 where that is padding, which
    happens only in windows with a NaN, or with nothing above -inf.

    Args:
        x: images, (batch, height, width, channels), floating dtype.
        window: as in `max_pool`.
        strides: as in `max_pool`.
        padding: as in `max_pool`.
        dilation: as in `max_pool`.
        ceil_mode: as in `max_pool`.
        backward: as in `max_pool`.

    Returns:
        The maxima, in the dtype of `x`, and their places `row * width + column`, int32.

    Raises:
        ValueError: as `max_pool`.

    Example:
        >>> import jax.numpy as jnp
        >>> from cnnjax import ops
        >>> y, places = ops.max_pool_with_argmax(jnp.arange(16.0).reshape(1, 4, 4, 1), 2)
        >>> places[0, :, :, 0]
        Array([[ 5,  7],
               [13, 15]], dtype=int32)

    Source: the switches of Zeiler and Fergus, 2014, section 2.1.
    """
    op = "max_pool_with_argmax"
    where = pool_window(op, x, window, strides, padding, dilation, ceil_mode)
    return _max_and_places(x, where=where, backward=backward)


@checked(y="images", argmax="integers", output_shape="shape")
def max_unpool(
    y: Float[Array, "batch out_height out_width channels"],
    argmax: Integer[Array, "batch out_height out_width channels"],
    output_shape: tuple[int, int, int, int],
) -> Float[Array, "batch height width channels"]:
    """Returns an image with every maximum where it was, and zeros elsewhere.

    Values whose place is -1 are left out. Of several values for one place (overlapping windows) one
    is kept. The gradient of every value is dL/dx at its place.

    Args:
        y: values, as from `max_pool_with_argmax`.
        argmax: their places `row * width + column`, integers of the same shape.
        output_shape: (batch, height, width, channels) of the result.

    Returns:
        An array of `output_shape`, in the dtype of `y`.

    Raises:
        ValueError: shapes do not agree, or `argmax` is not of integers.

    Example:
        >>> import jax.numpy as jnp
        >>> from cnnjax import ops
        >>> y, places = ops.max_pool_with_argmax(jnp.arange(4.0).reshape(1, 2, 2, 1), 2)
        >>> ops.max_unpool(y, places, (1, 2, 2, 1))[0, :, :, 0]
        Array([[0., 0.],
               [0., 3.]], dtype=float32)

    Source: Zeiler and Fergus, 2014, section 2.1 (unpooling).
    """
    return _unpool(y, argmax, shape=tuple(output_shape))


def _both(x: jax.Array, *, where: PoolWindow) -> tuple[jax.Array, jax.Array]:
    y = max_windows.apply(x, where=where, within=where.op)
    return y, places(chosen_offsets(x, where), where)


def _both_native(x: jax.Array, *, where: PoolWindow) -> tuple[jax.Array, jax.Array]:
    return native_max_windows(x, where), places(chosen_offsets(x, where), where)


def _both_save(_, x: jax.Array, *, where: PoolWindow):
    choice = choose(x, where)
    y = max_windows.apply(x, where=where, within=where.op)
    return (y, places(offsets_of(choice, where), where)), (x, choice)


def _both_backward(saved, grads, *, where: PoolWindow):
    x, choice = saved
    return (max_windows_input_grad(x, choice, grads[0], where),)


_max_and_places = make_op(
    "max_pool_with_argmax", _both, _both_backward, save=_both_save, native=_both_native
)


def _check_unpool(y: jax.Array, argmax: jax.Array, *, shape: tuple[int, ...]) -> None:
    if y.shape != argmax.shape:
        raise ValueError(
            f"max_unpool: argmax must be integers of y's shape {y.shape}, got {argmax.dtype} "
            f"{argmax.shape}; take both from max_pool_with_argmax"
        )
    if len(shape) != 4 or (shape[0], shape[3]) != (y.shape[0], y.shape[3]):
        raise ValueError(
            f"max_unpool: output_shape must be (batch, height, width, channels) with the batch and "
            f"channels of y {y.shape}, got {shape}; give the shape of the pooling's input"
        )
    if is_int(shape[1]) and is_int(shape[2]) and shape[1] * shape[2] > MOST_STEPS:
        raise ValueError(
            f"max_unpool: output_shape {shape} has more than {MOST_STEPS} (2**31 - 1) pixels, "
            "whose places int32 does not represent; make it smaller"
        )
    check_elements("max_unpool", "the output", shape, output_shape=shape)


def _put_back(y: jax.Array, argmax: jax.Array, *, shape: tuple[int, ...]) -> jax.Array:
    batch, _, _, channels = y.shape
    pixels = shape[1] * shape[2]
    argmax = _wide(argmax)

    def image(values: jax.Array, where: jax.Array) -> jax.Array:
        # Negative indices would count from the end; those beyond the image are dropped.
        where = jnp.where(where < 0, jnp.asarray(pixels, where.dtype), where)
        return jnp.zeros(pixels, values.dtype).at[where].set(values, mode="drop")

    per_channel = jax.vmap(image, in_axes=-1, out_axes=-1)
    flat = (batch, -1, channels)
    filled = jax.vmap(per_channel)(y.reshape(flat), argmax.reshape(flat))
    return filled.reshape(batch, shape[1], shape[2], channels)


def _put_back_backward(argmax: jax.Array, grad: jax.Array, *, shape: tuple[int, ...]):
    pixels = shape[1] * shape[2]
    argmax = _wide(argmax)
    inside = (argmax >= 0) & (argmax < pixels)
    taken = take(grad, jnp.clip(argmax, 0, pixels - 1))
    return jnp.where(inside, taken, jnp.zeros((), grad.dtype)), None


def _wide(places: jax.Array) -> jax.Array:
    # A narrow dtype may not represent the number of pixels.
    return places.astype(jnp.int32) if places.dtype.itemsize < 4 else places


_unpool = make_op(
    "max_unpool",
    _put_back,
    _put_back_backward,
    check=_check_unpool,
    save=lambda op, y, argmax, shape: (op(y, argmax), argmax),
    # The public function has no argument `backward`.
    advice="apply max_unpool to the tangent of y, since it is linear in y",
)
