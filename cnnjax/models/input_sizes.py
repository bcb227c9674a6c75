"""Which image sizes fit a network, found from shapes alone, and errors that say so."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp

# Images larger than this are not tried.
_LARGEST = 1024


@contextlib.contextmanager
def telling_sizes(model: linen.Module, images: Any) -> Iterator[None]:
    """Within the block, the error of images that are too small says which sizes work.

    Args:
        model: the network that is being called.
        images: what it is called with.

    Raises:
        ValueError: `images` are not [batch, height, width, channels] with pixels and channels; or
            the error that arose, with the smallest size behind it if the images are smaller.
    """
    name, shape = type(model).__name__, jnp.shape(images)
    if len(shape) != 4 or 0 in shape[1:]:
        raise ValueError(
            f"{name}: images must have the shape (batch, height, width, channels), with at least "
            f"one pixel and one channel, got {shape}"
            + ("; add a batch axis with x[None] or use jax.vmap" if len(shape) == 3 else "")
        )
    try:
        yield
    except ValueError as error:
        height, width, channels = shape[1:]
        # One trace is enough to know an error that has another cause.
        if _parameters(model, (height, width), channels) is not None:
            raise
        least = smallest_size(model, channels)
        if least is None or min(height, width) >= least:
            raise
        message = (
            f"{error}. The images are {height}x{width}, and {name}'s layers need at least "
            f"{least}x{least}"
        )
        if getattr(model, "aux_heads", False):
            alone = smallest_size(model.clone(aux_heads=False), channels)
            message += f" ({alone}x{alone} with aux_heads=False)"
        raise ValueError(message) from error


def smallest_size(model: linen.Module, channels: int) -> int | None:
    """The smallest square images that a network's layers take.

    Args:
        model: a network.
        channels: channels of the images.

    Returns:
        Their height and width, or None where no images up to 1024x1024 fit.
    """

    def fits(size: int) -> bool:
        return _parameters(model, (size, size), channels) is not None

    return _first(fits) if fits(_LARGEST) else None


def square_sizes(
    model: linen.Module, layer: str, inputs: int, channels: int
) -> tuple[int, int] | None:
    """The square images that give a dense layer the number of inputs it was made for.

    Args:
        model: an unbound network.
        layer: name of the dense layer.
        inputs: number of its inputs.
        channels: channels of the images.

    Returns:
        The smallest and the largest size, or None where no square image does.
    """

    def inputs_of(size: int) -> int:
        parameters = _parameters(model, (size, size), channels)
        return 0 if parameters is None else parameters[layer]["kernel"].shape[0]

    # The number grows with the size.
    smallest = _first(lambda size: inputs_of(size) >= inputs)
    if inputs_of(smallest) != inputs:
        return None
    return smallest, _first(lambda size: inputs_of(size) > inputs) - 1


def _parameters(model: linen.Module, size: tuple[int, int], channels: int) -> Any:
    """The shapes of a network's parameters for images of a size; None if these do not fit."""
    images = jax.ShapeDtypeStruct((1, *size, channels), jnp.float32)
    free = model.clone(parent=None, name=None)
    try:
        # Flax's own method: a network's would look for sizes again.
        return jax.eval_shape(
            lambda x: linen.Module.init_with_output(free, jax.random.key(0), x)[1]["params"], images
        )
    except ValueError:
        return None


def _first(fits: Callable[[int], bool]) -> int:
    """The smallest size that fits, if every larger one does too; the largest if none is found."""
    low, high = 1, _LARGEST
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(middle) else (middle + 1, high)
    return low
