"""Max pooling with the places of the maxima, and its partial inverse."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from cnnjax.ops.backward import check_backward
from cnnjax.ops.materialize import materialized
from cnnjax.ops.pool.maximum import (
    chosen_offsets,
    lax_max_windows,
    max_windows,
    max_windows_input_grad,
)
from cnnjax.ops.pool.runs import offset_pitch
from cnnjax.ops.pool.window import PoolWindow, check_images, pool_window
from cnnjax.ops.reverse_mode import reverse_mode_only
from cnnjax.ops.sizes import PaddingLike, PairLike

__all__ = ["max_pool_with_argmax", "max_unpool"]


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
    """`max_pool`, and where in the image each maximum was.

    The place is the element that gets the gradient. It is -1 where that is padding, which happens
    only in windows that hold nothing above -inf, or a NaN.

    Args:
      x: images, floating dtype.
      window, strides, padding, dilation, ceil_mode, backward: as in `max_pool`.

    Returns:
      The maxima, in the dtype of `x`, and their places `row * width + column`, int32.

    Raises:
      ValueError: as `max_pool`.

    Source: the switches of Zeiler and Fergus, 2014, section 2.1.
    """
    op = "max_pool_with_argmax"
    check_backward(op, backward)
    where = pool_window(op, x, window, strides, padding, dilation, ceil_mode)
    with jax.named_scope(op):
        if backward == "native":
            return native_max_windows(x, where), _places(chosen_offsets(x, where), where)
        return _max_and_places(reverse_mode_only(op, x), where)


def max_unpool(
    y: Float[Array, "batch out_height out_width channels"],
    argmax: Int[Array, "batch out_height out_width channels"],
    output_shape: tuple[int, int, int, int],
) -> Float[Array, "batch height width channels"]:
    """Puts every maximum back where it was, zeros elsewhere; places of -1 are left out.

    Of several values for one place (overlapping windows) one is kept. The gradient of every value
    is dL/dx at its place.

    Args:
      y: values, as from `max_pool_with_argmax`.
      argmax: their places `row * width + column`, of the same shape.
      output_shape: (batch, height, width, channels) of the result.

    Returns:
      An array of `output_shape`, in the dtype of `y`.

    Raises:
      ValueError: shapes do not agree, or `argmax` is not of integers.

    Source: Zeiler and Fergus, 2014, section 2.1 (unpooling).
    """
    check_images("max_unpool", y)
    if y.shape != argmax.shape or not jnp.issubdtype(argmax.dtype, jnp.integer):
        raise ValueError(
            f"max_unpool: argmax must be integers of y's shape {y.shape}, got {argmax.dtype} "
            f"{argmax.shape}; take both from max_pool_with_argmax"
        )
    shape = tuple(output_shape)
    if len(shape) != 4 or (shape[0], shape[3]) != (y.shape[0], y.shape[3]):
        raise ValueError(
            f"max_unpool: output_shape must be (batch, height, width, channels) with the batch and "
            f"channels of y {y.shape}, got {shape}; give the shape of the pooling's input"
        )
    with jax.named_scope("max_unpool"):
        return _unpool(reverse_mode_only("max_unpool", y), argmax, (shape[1], shape[2]))


def native_max_windows(x: jax.Array, where: PoolWindow) -> jax.Array:
    """Returns the maxima with a derivative made of lax's own, in forward mode as well.

    lax has none for dilated windows: there the maxima are gathered from their places.
    """
    if where.dilation == (1, 1):
        return lax_max_windows(x, where)
    places = _places(chosen_offsets(lax.stop_gradient(x), where), where)
    values = _take(x, jnp.maximum(places, 0))
    missing = lax.stop_gradient(lax_max_windows(x, where))
    return jnp.where((places < 0) | jnp.isnan(missing), missing, values)


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def _max_and_places(x: jax.Array, where: PoolWindow) -> tuple[jax.Array, jax.Array]:
    return max_windows(x, where), _places(chosen_offsets(x, where), where)


def _max_forward(x: jax.Array, where: PoolWindow) -> tuple[Any, Any]:
    choice = materialized(chosen_offsets(x, where), witness=x)
    y = max_windows(reverse_mode_only(where.op, x), where)
    return (y, _places(choice, where)), (x, choice)


def _max_backward(where: PoolWindow, residuals, grads):
    x, choice = residuals
    return (max_windows_input_grad(x, choice, grads[0], where),)


_max_and_places.defvjp(_max_forward, _max_backward)


def _places(choice: jax.Array, where: PoolWindow) -> jax.Array:
    """Returns offsets within windows as places in the image, -1 for the padding."""
    wide = choice.astype(jnp.int32)
    pitch = jnp.int32(offset_pitch(where)[1])
    starts = [
        (np.arange(where.output[a], dtype=np.int32) * where.strides[a] - where.pads[a][0])
        for a in (0, 1)
    ]
    row = wide // pitch + jnp.asarray(starts[0], jnp.int32)[None, :, None, None]
    column = wide % pitch + jnp.asarray(starts[1], jnp.int32)[None, None, :, None]
    height, width = where.size
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    return jnp.where(inside, row * jnp.int32(width) + column, jnp.int32(-1))


def _take(x: jax.Array, places: jax.Array) -> jax.Array:
    """Returns the values of `x` at places of its images, channel by channel."""
    batch, height, width, channels = x.shape
    flat = places.reshape(batch, -1, channels)
    values = jnp.take_along_axis(x.reshape(batch, height * width, channels), flat, axis=1)
    return values.reshape(places.shape)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _unpool(y: jax.Array, argmax: jax.Array, size: tuple[int, int]) -> jax.Array:
    batch, _, _, channels = y.shape

    def image(values: jax.Array, places: jax.Array) -> jax.Array:
        # Negative places would count from the end.
        places = jnp.where(places < 0, jnp.asarray(size[0] * size[1], places.dtype), places)
        return jnp.zeros(size[0] * size[1], values.dtype).at[places].set(values, mode="drop")

    per_channel = jax.vmap(image, in_axes=-1, out_axes=-1)
    flat = (batch, -1, channels)
    filled = jax.vmap(per_channel)(y.reshape(flat), argmax.reshape(flat))
    return filled.reshape(batch, *size, channels)


def _unpool_forward(y: jax.Array, argmax: jax.Array, size: tuple[int, int]):
    return _unpool(reverse_mode_only("max_unpool", y), argmax, size), argmax


def _unpool_backward(size: tuple[int, int], argmax: jax.Array, grad: jax.Array):
    inside = (argmax >= 0) & (argmax < size[0] * size[1])
    taken = _take(grad, jnp.clip(argmax, 0, size[0] * size[1] - 1))
    zero_tangent = np.zeros(argmax.shape, jax.dtypes.float0)
    return jnp.where(inside, taken, jnp.zeros((), grad.dtype)), zero_tangent


_unpool.defvjp(_unpool_forward, _unpool_backward)
