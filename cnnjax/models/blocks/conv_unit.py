"""Convolution, optional normalization, activation: the unit of Inception networks."""

from typing import Any

import flax.linen as linen
from jaxtyping import Array, Float

from cnnjax import ops


class ConvUnit(linen.Module):
    """A convolution, then a normalization or a bias, then an activation.

    Attributes:
        features: number of output channels.
        kernel_size: (height, width).
        conv: makes the convolution.
        norm: makes the normalization; None for a bias in its place.
        strides, padding: of the convolution.
        activate: the activation.
    """

    features: int
    kernel_size: tuple[int, int]
    conv: Any
    norm: Any = None
    strides: int = 1
    padding: str | int = "SAME"
    activate: Any = ops.relu

    @linen.compact
    def __call__(
        self, x: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch rows columns features"]:
        """Applies the unit.

        Args:
            x: feature maps.
        """
        x = self.conv(
            self.features,
            self.kernel_size,
            strides=self.strides,
            padding=self.padding,
            # A normalization has a bias of its own.
            use_bias=self.norm is None,
            name="conv",
        )(x)
        if self.norm is not None:
            x = self.norm(name="bn")(x)
        return self.activate(x)
