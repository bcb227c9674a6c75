"""Errors for images that a network does not take: whole numbers, or channels first."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import flax.errors
import flax.linen as linen
import jax
import jax.numpy as jnp

# Channels of gray and of color images.
_CHANNELS = (1, 3)


def check_pixels(model: linen.Module, images: Any) -> None:
    """Raises an error for images whose pixels are not floating numbers.

    Args:
        model: the network, for the message.
        images: the first argument of its call.

    Raises:
        TypeError: the pixels are of another dtype; the message shows the usual conversion.
    """
    # Lists and other objects have no dtype; their errors come from Flax.
    dtype = getattr(images, "dtype", None)
    if dtype is None or jnp.issubdtype(dtype, jnp.floating):
        return
    remedy = (
        "images.astype(jnp.float32) / 255, and normalize them as the network was trained"
        if dtype == jnp.uint8
        else "images.astype(jnp.float32), scaled as the network was trained"
    )
    raise TypeError(
        f"{type(model).__name__}: images have the dtype {dtype}, but pixels must be floating "
        f"numbers; convert them with {remedy}"
    )


@contextlib.contextmanager
def naming_layout(
    model: linen.Module, variables: Mapping[str, Any] | None, images: Any
) -> Iterator[None]:
    """Explains the error of images with the channels first.

    Args:
        model: the network that runs within the block.
        variables: its variables; None while it is initialized. Then there is no kernel to compare
            the channels with, and images of the form of channels-first squares raise the error.
        images: its first argument.

    Raises:
        ValueError: the images are [batch, channels, height, width] and would fit if transposed.
    """
    shape = jnp.shape(images)
    first = len(shape) == 4 and shape[1] in _CHANNELS and shape[3] not in _CHANNELS
    if not first:
        yield
        return
    # No network here takes square maps of three rows and many channels.
    if variables is None and shape[2] == shape[3]:
        raise ValueError(_message(model, shape))
    try:
        yield
    except (ValueError, TypeError, flax.errors.FlaxError) as error:
        if variables is None or not _fits_transposed(model, variables, images):
            raise
        raise ValueError(_message(model, shape)) from error


def _message(model: linen.Module, shape: tuple[int, ...]) -> str:
    return (
        f"{type(model).__name__}: images of shape {shape} look like (batch, channels, height, "
        "width), but they must be (batch, height, width, channels); transpose them with "
        "images.transpose(0, 2, 3, 1)"
    )


def _fits_transposed(model: linen.Module, variables: Mapping[str, Any], images: Any) -> bool:
    """Returns whether the network takes the images with their channels last."""
    batch, channels, height, width = jnp.shape(images)
    turned = jax.ShapeDtypeStruct((batch, height, width, channels), images.dtype)
    try:
        # Flax's own method: the network's would search for a mistake again, without an end.
        jax.eval_shape(lambda v, x: linen.Module.apply(model, v, x), variables, turned)
    except (ValueError, TypeError, flax.errors.FlaxError):
        return False
    return True
