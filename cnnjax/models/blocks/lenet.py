"""Layers of the LeNets of 1989 and 1998 that later networks do not have."""

from typing import Any

import flax.linen as linen
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from cnnjax import nn, ops

# Targets of the RBF outputs: 7x12 pictures of the digits, +1 on the stroke and -1 beside it.
DIGITS = """
.......  .......  .......  .......  .......  .......  .......  .......  .......  .......
..###..  ...#...  .#####.  #######  ....##.  #######  ..####.  #######  .#####.  .#####.
.#...#.  ..##...  #.....#  .....#.  ...#.#.  #......  .#.....  ......#  #.....#  #.....#
#.....#  .#.#...  ......#  ....#..  ..#..#.  #......  #......  .....#.  #.....#  #.....#
#.....#  ...#...  ......#  ...#...  .#...#.  #......  #......  .....#.  .#...#.  #.....#
#.....#  ...#...  .....#.  ..###..  #....#.  #####..  #.###..  ....#..  ..###..  .######
#.....#  ...#...  ....#..  .....#.  #######  .....#.  ##...#.  ....#..  .#...#.  ......#
#.....#  ...#...  ...#...  ......#  .....#.  ......#  #.....#  ...#...  #.....#  ......#
.#...#.  ...#...  .##....  #.....#  .....#.  #....#.  .#...#.  ...#...  #.....#  .....#.
..###..  .#####.  #######  .#####.  .....#.  .####..  ..###..  ...#...  .#####.  .####..
.......  .......  .......  .......  .......  .......  .......  .......  .......  .......
.......  .......  .......  .......  .......  .......  .......  .......  .......  .......
"""


class Subsampling(linen.Module):
    """Sums 2x2 units, times a coefficient, plus a bias (one of each per map), then squashes.

    The coefficients start at 1/4, so that the layer starts as an average.

    Attributes:
        dtype: dtype of the computation; parameters are float32.
        backward: "ours" for the backward rules of `cnnjax.ops`, "native" for lax's autodiff.

    Source: LeCun et al., 1998, section II.B, layers S2 and S4.
    """

    dtype: Any = jnp.float32
    backward: str = "ours"

    @linen.compact
    def __call__(
        self, x: Float[Array, "batch height width maps"]
    ) -> Float[Array, "batch rows columns maps"]:
        """Halves height and width.

        Args:
            x: feature maps.
        """
        shape = (x.shape[-1],)
        coefficient = self.param("coefficient", linen.initializers.constant(0.25), shape)
        bias = self.param("bias", linen.initializers.zeros, shape)
        with nn.naming_layer(self):
            y = ops.sum_pool(x, 2, backward=self.backward)
        # All four axes, since ranks are not promoted implicitly.
        coefficient, bias = (
            jnp.asarray(p, self.dtype).reshape(1, 1, 1, -1) for p in (coefficient, bias)
        )
        return squash(y * coefficient + bias)


class UnitBias(linen.Module):
    """Adds one bias to each unit of each map, not one to each map.

    Attributes:
        dtype: dtype of the computation; parameters are float32.
    """

    dtype: Any = jnp.float32

    @linen.compact
    def __call__(
        self, x: Float[Array, "batch height width maps"]
    ) -> Float[Array, "batch height width maps"]:
        """Adds the biases.

        Args:
            x: feature maps.
        """
        bias = self.param("bias", linen.initializers.zeros, x.shape[1:])
        return x + jnp.asarray(bias, self.dtype)[None]


def squash(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Returns 1.7159 tanh(2x / 3).

    Args:
        x: activations of any shape.
    """
    return ops.scaled_tanh(x)


def on_background(
    x: Float[Array, "batch height width maps"],
) -> Float[Array, "batch height+4 width+4 maps"]:
    """Continues each map by two units on every side with the background level, -1.

    Args:
        x: feature maps.
    """
    return jnp.pad(x, ((0, 0), (2, 2), (2, 2), (0, 0)), constant_values=-1.0)


def rbf_codes(classes: int) -> Float[np.ndarray, "{classes} 84"]:
    """Returns the fixed codes of the RBF outputs, +1 or -1.

    Args:
        classes: number of classes; the first ten are the digits, the others get random codes.

    Returns:
        An array of shape [classes, 84], each row a 12x7 picture.
    """
    # Ten pictures side by side in each line of text: [row, digit, column] becomes [digit, values].
    rows = [line.split() for line in DIGITS.strip().splitlines()]
    pictures = np.array([[list(cell) for cell in row] for row in rows])
    digits = np.where(pictures == "#", 1.0, -1.0).transpose(1, 0, 2).reshape(10, 84)
    # A fixed seed: the codes are part of the network, and are the same in every process.
    further = np.random.default_rng(1998).choice([-1.0, 1.0], size=(max(classes - 10, 0), 84))
    return np.concatenate([digits, further])[:classes]
