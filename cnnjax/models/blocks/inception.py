"""The Inception module of GoogLeNet, in its two forms: naive, and with bottlenecks."""

import functools
from typing import Any

import flax.linen as linen
import jax.numpy as jnp
from jaxtyping import Array, Float

from cnnjax import nn
from cnnjax.models.blocks.conv_unit import ConvUnit

Images = Float[Array, "batch height width channels"]
Maps = Float[Array, "batch height width features"]


class NaiveInception(linen.Module):
    """1x1, 3x3 and 5x5 convolutions and a 3x3 max pool side by side, their channels concatenated.

    The pool keeps all channels of the input, so that a module is always wider than the one before.

    Attributes:
        columns: channels of the three convolutions.
        unit: makes a convolution with its activation.
        five: size of the "5x5" kernel.
        backward: of the pool, "ours" or "native".

    Source: Szegedy et al., 2014, figure 2 (a).
    """

    columns: tuple[int, int, int]
    unit: Any = functools.partial(ConvUnit, conv=nn.Conv)
    five: int = 5
    backward: str = "ours"

    @linen.compact
    def __call__(self, x: Images) -> Maps:
        """Applies the module; height and width do not change.

        Args:
            x: feature maps.
        """
        one, three, five = self.columns
        branches = [
            self.unit(one, (1, 1), name="conv1x1")(x),
            self.unit(three, (3, 3), name="conv3x3")(x),
            self.unit(five, (self.five, self.five), name="conv5x5")(x),
            nn.MaxPool(3, 1, padding=1, backward=self.backward, name="pool")(x),
        ]
        return jnp.concatenate(branches, axis=-1)


class Inception(linen.Module):
    """The Inception module with bottlenecks: 1x1 convolutions before 3x3 and 5x5, after the pool.

    Attributes:
        columns: channels of 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5 and pool projection.
        unit: makes a convolution with its activation.
        five: size of the "5x5" kernel.
        backward: of the pool, "ours" or "native".

    Source: Szegedy et al., 2014, figure 2 (b).
    """

    columns: tuple[int, int, int, int, int, int]
    unit: Any = functools.partial(ConvUnit, conv=nn.Conv)
    five: int = 5
    backward: str = "ours"

    @linen.compact
    def __call__(self, x: Images) -> Maps:
        """Applies the module; height and width do not change.

        Args:
            x: feature maps.
        """
        one, reduce3, three, reduce5, five, project = self.columns
        pooled = nn.MaxPool(3, 1, padding=1, backward=self.backward, name="pool")(x)
        y3 = self.unit(reduce3, (1, 1), name="reduce3x3")(x)
        y5 = self.unit(reduce5, (1, 1), name="reduce5x5")(x)
        branches = [
            self.unit(one, (1, 1), name="conv1x1")(x),
            self.unit(three, (3, 3), name="conv3x3")(y3),
            self.unit(five, (self.five, self.five), name="conv5x5")(y5),
            self.unit(project, (1, 1), name="project")(pooled),
        ]
        return jnp.concatenate(branches, axis=-1)


FORMS: dict[str, tuple[Any, slice]] = {
    "bottleneck": (Inception, slice(None)),
    # Without the two reductions and the pool's projection.
    "naive": (NaiveInception, slice(0, 5, 2)),
}
"""The class of each form of the module, and its columns among the six of the paper's table."""
