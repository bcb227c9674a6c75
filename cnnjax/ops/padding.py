"""Padding of images by constants, edge pixels, reflection or the pixels of the other side."""

from __future__ import annotations

import numbers

import jax
import jax.numpy as jnp
from jaxtyping import Array, Num

from cnnjax.ops import sizes

_NUMPY_MODES = {"zeros": "constant", "replicate": "edge", "reflect": "reflect", "circular": "wrap"}


def is_zeros(mode: str | float) -> bool:
    """Returns whether padding of this mode is what a convolution does by itself.

    Args:
        mode: a padding mode or a constant, as in `pad_images`.
    """
    return mode == "zeros" or (not isinstance(mode, str) and mode == 0)


def check_mode(op: str, mode: str | float) -> None:
    """Raises a ValueError unless `mode` is a known padding mode or a constant.

    Args:
        op: the calling function, for the message.
        mode: the mode to check.
    """
    if mode not in _NUMPY_MODES and (isinstance(mode, str | bool) or not _is_number(mode)):
        raise ValueError(
            f"{op}: padding_mode must be one of {', '.join(map(repr, _NUMPY_MODES))} or a number "
            f"to pad with, got {mode!r}"
        )


@jax.named_scope("pad_images")
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
    check_mode("pad_images", mode)
    # A reflection does not repeat the edge pixel, so that it has one pixel less to take.
    most = {"reflect": -1, "circular": 0}.get(mode) if isinstance(mode, str) else None
    if most is not None:
        for n, sides in zip(x.shape[1:3], pads, strict=True):
            if max(sides) > n + most:
                raise ValueError(
                    f"pad_images: padding_mode {mode!r} can add at most {n + most} pixels to a "
                    f"side of {n}, got padding {pads}; pad less or use 'replicate'"
                )
    widths = ((0, 0), *pads, (0, 0))
    if isinstance(mode, str):
        return jnp.pad(x, widths, mode=_NUMPY_MODES[mode])
    return jnp.pad(x, widths, constant_values=jnp.asarray(mode, x.dtype))


def _is_number(value: object) -> bool:
    return isinstance(value, numbers.Real)
