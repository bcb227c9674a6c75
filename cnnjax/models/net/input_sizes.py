"""Which image sizes fit a network, found from shapes alone, and errors that name them."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp

# Larger images are not tried.
_LARGEST = 1024


@contextlib.contextmanager
def naming_sizes(model: linen.Module, images: Any) -> Iterator[None]:
    """Adds the smallest size that works to the error of images that are too small.

    Args:
        model: the network that runs within the block.
        images: its first argument.

    Raises:
        ValueError: `images` are not [batch, height, width, channels] with pixels and channels; or
            the error that arose, followed by the smallest size if the images are smaller.
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
        # One trace is enough to exclude an error with another cause: it succeeds.
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
    """Returns the smallest square images that a network's layers take.

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
    """Returns the square images that give a dense layer the number of inputs it was made for.

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

    # The number grows with the size, so that bisection finds it.
    smallest = _first(lambda size: inputs_of(size) >= inputs)
    if inputs_of(smallest) != inputs:
        return None
    return smallest, _first(lambda size: inputs_of(size) > inputs) - 1


def _parameters(model: linen.Module, size: tuple[int, int], channels: int) -> Any:
    """Returns the shapes of the parameters for images of a size; None if these do not fit."""
    images = jax.ShapeDtypeStruct((1, *size, channels), jnp.float32)
    # A module that is already bound to variables cannot be initialized.
    free = model.clone(parent=None, name=None)
    try:
        # Flax's own method: the network's would search for sizes again, without an end.
        return jax.eval_shape(
            lambda x: linen.Module.init_with_output(free, jax.random.key(0), x)[1]["params"], images
        )
    except ValueError:
        return None


def _first(fits: Callable[[int], bool]) -> int:
    """Returns the smallest size that fits, if all larger ones do too; the largest if none does."""
    low, high = 1, _LARGEST
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(middle) else (middle + 1, high)
    return low
