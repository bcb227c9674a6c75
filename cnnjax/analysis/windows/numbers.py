"""Small arrays of numbers as ops take them, and their checks."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

MOST = 12
"""The most rows or columns that a picture shows."""


def plane(
    function: str, name: str, values: ArrayLike | Sequence[Sequence[float]]
) -> Float[np.ndarray, "height width"]:
    """Returns numbers to draw.

    Args:
        function: the caller's name, for the message.
        name: the argument's name, for the message.
        values: rows and columns of numbers.

    Raises:
        ValueError: they are not [height, width], not finite, or too many to be read.
    """
    array = np.asarray(values, np.float32)
    if array.ndim != 2 or array.size == 0 or max(array.shape) > MOST:
        raise ValueError(
            f"{function}: {name} of shape {array.shape}; expected [height, width] with at most "
            f"{MOST} rows and columns, so that the numbers can be read"
        )
    if not np.isfinite(array).all():
        raise ValueError(f"{function}: {name} must be finite numbers, got {array.tolist()}")
    return array


def as_images(values: Float[np.ndarray, "height width"]) -> Float[Array, "1 height width 1"]:
    """Returns numbers as a batch of one image with one channel.

    Args:
        values: the numbers.
    """
    return jnp.asarray(values)[None, :, :, None]


def as_plane(images: Float[Array, "1 height width 1"]) -> Float[np.ndarray, "height width"]:
    """Returns the numbers of one image with one channel.

    Args:
        images: the image.
    """
    return np.asarray(images, np.float64)[0, :, :, 0]


def check_windows(function: str, windows: int) -> None:
    """Raises an error unless a number of windows is a positive integer.

    Args:
        function: the caller's name, for the message.
        windows: what was given.

    Raises:
        ValueError: it is none.
    """
    if isinstance(windows, bool) or not isinstance(windows, int) or windows < 1:
        raise ValueError(f"{function}: windows {windows!r} must be a positive integer")


def shown_places(shape: tuple[int, int], most: int) -> list[tuple[int, int]]:
    """Returns the places of an output whose windows are drawn, in order.

    Args:
        shape: rows and columns of the output.
        most: how many at most; of more places, the first ones and the last one.
    """
    places = list(np.ndindex(shape))
    return places if len(places) <= most else [*places[: most - 1], places[-1]]
