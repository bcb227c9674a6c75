"""The layouts of arrays in PyTorch and here: their axes, and the order of flattened maps.

PyTorch stores a convolution's kernel as (output, input, height, width) and a dense layer's as
(output, input), and flattens maps as (channels, height, width). Here a kernel is (height, width,
input, output), a dense kernel (input, output), and maps are flattened as (height, width, channels).
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp


@dataclasses.dataclass(frozen=True)
class Layout:
    """Two functions, each the inverse of the other; both take NumPy arrays as well as traced ones.

    Attributes:
        to_ours: from PyTorch's array to ours.
        to_theirs: from our array to PyTorch's.
    """

    to_ours: Callable[[Any], Any]
    to_theirs: Callable[[Any], Any]

    def their_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Returns the shape of PyTorch's array.

        Args:
            shape: of our array.
        """
        array = jax.ShapeDtypeStruct(shape, jnp.float32)
        return jax.eval_shape(self.to_theirs, array).shape


# Biases, and batch norm's scales and statistics.
VECTOR = Layout(lambda v: v, lambda v: v)

CONV = Layout(lambda k: k.transpose(2, 3, 1, 0), lambda k: k.transpose(3, 2, 0, 1))

DENSE = Layout(lambda k: k.T, lambda k: k.T)


def flattened(height: int, width: int) -> Layout:
    """Returns the layout of a dense layer on flattened maps.

    Args:
        height: of the maps.
        width: of the maps.
    """
    conv = dense_as_conv(height, width)

    def to_ours(kernel: Any) -> Any:
        return conv.to_ours(kernel.reshape(kernel.shape[0], -1, height, width))

    def to_theirs(kernel: Any) -> Any:
        return conv.to_theirs(kernel).reshape(kernel.shape[1], -1)

    return Layout(to_ours, to_theirs)


def dense_as_conv(height: int, width: int) -> Layout:
    """Returns the layout of a dense layer that PyTorch keeps as a convolution of the maps' size.

    Args:
        height: of the maps.
        width: of the maps.
    """

    def to_ours(kernel: Any) -> Any:
        return CONV.to_ours(kernel).reshape(-1, kernel.shape[0])

    def to_theirs(kernel: Any) -> Any:
        return CONV.to_theirs(kernel.reshape(height, width, -1, kernel.shape[1]))

    return Layout(to_ours, to_theirs)
