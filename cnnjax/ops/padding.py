"""Padding of images by constants, edge pixels, reflection or the pixels of the other side."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Num

from cnnjax.ops import sizes
from cnnjax.ops.arguments.choices import MODES
from cnnjax.ops.arguments.table import checked
from cnnjax.ops.checks import check_elements


def is_zeros(mode: str | float) -> bool:
    """Returns whether padding of this mode is what a convolution does by itself.

    Args:
        mode: a padding mode or a constant, as in `pad_images`.
    """
    return mode == "zeros" or (not isinstance(mode, str) and mode == 0)


@checked(x="images of numbers", pads="pads", mode="padding mode")
def pad_images(
    x: Num[Array, "batch height width channels"],
    pads: sizes.Pads,
    mode: str | float = "zeros",
) -> Num[Array, "batch padded_height padded_width channels"]:
    """Returns the images with `pads` = ((top, bottom), (left, right)) more pixels on each side.

    Args:
        x: images, (batch, height, width, channels), of any numeric dtype, which the result has.
        pads: pixels to add.
        mode: "zeros", "replicate" (the edge pixel), "reflect" (mirrored about the edge pixel, which
            is not repeated), "circular" (the other side's pixels), or a constant.

    Raises:
        ValueError: an unknown mode, or a reflection (circular padding) that needs more pixels than
            the image has.

    Example:
        >>> import jax.numpy as jnp
        >>> from cnnjax import ops
        >>> row = jnp.array([1.0, 2.0, 3.0]).reshape(1, 1, 3, 1)
        >>> ops.pad_images(row, ((0, 0), (2, 1)), "reflect")[0, 0, :, 0]
        Array([3., 2., 1., 2., 3., 2.], dtype=float32)
    """
    return padded("pad_images", x, pads, mode)


@jax.named_scope("pad_images")
def padded(op: str, x: jax.Array, pads: sizes.Pads, mode: str | float) -> jax.Array:
    """Returns `pad_images` as a part of another op, which has checked the kinds of the arguments.

    Args:
        op: the calling function, for the messages.
        x: as in `pad_images`.
        pads: as in `pad_images`.
        mode: as in `pad_images`.

    Raises:
        ValueError: as `pad_images`.
    """
    height, width = (n + low + high for n, (low, high) in zip(x.shape[1:3], pads, strict=True))
    shape = (x.shape[0], height, width, x.shape[3])
    check_elements(op, "the padded images", shape, pads=pads)
    # A reflection does not repeat the edge pixel, so that it has one pixel less to take.
    most = {"reflect": -1, "circular": 0}.get(mode) if isinstance(mode, str) else None
    if most is not None:
        for n, sides in zip(x.shape[1:3], pads, strict=True):
            if max(sides) > n + most:
                raise ValueError(
                    f"{op}: padding_mode {mode!r} can add at most {n + most} pixels to a "
                    f"side of {n}, got padding {pads}; pad less or use 'replicate'"
                )
    widths = ((0, 0), *pads, (0, 0))
    if isinstance(mode, str):
        return jnp.pad(x, widths, mode=MODES[mode])
    _check_constant(op, x, mode)
    return jnp.pad(x, widths, constant_values=jnp.asarray(mode, x.dtype))


def _check_constant(op: str, x: jax.Array, value: float) -> None:
    if not jnp.issubdtype(x.dtype, jnp.integer):
        return
    limits = jnp.iinfo(x.dtype)
    if not limits.min <= value <= limits.max or value != int(value):
        raise ValueError(
            f"{op}: padding_mode {value!r} is no {x.dtype}, the dtype of x; pad with a whole "
            f"number from {limits.min} to {limits.max}"
        )
