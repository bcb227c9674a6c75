"""The layers of DenseNet: those of a dense block, and the transition between blocks."""

from typing import Any

import flax.linen as linen
import jax.numpy as jnp
from jaxtyping import Array, Float

Images = Float[Array, "batch height width channels"]
Maps = Float[Array, "batch rows columns features"]


class DenseLayer(linen.Module):
    """Batch norm, activation, 3x3 convolution, after a bottleneck if there is one.

    Attributes:
        growth: number of new maps.
        bottleneck: whether a 1x1 convolution to 4 * growth channels comes before the 3x3.
        conv, norm, dropout: make the layers.
        activate: the activation.

    Source: Huang et al., 2017, section 3, "Composite function" and "Bottleneck layers".
    """

    growth: int
    bottleneck: bool
    conv: Any
    norm: Any
    dropout: Any
    activate: Any

    @linen.compact
    def __call__(
        self, *maps: Float[Array, "batch height width _"]
    ) -> Float[Array, "batch height width growth"]:
        """Returns the new maps.

        Args:
            *maps: all maps before this layer, of the block's input and of each earlier layer.
        """
        # Joined in here, so that rematerialization keeps the parts, which the layers share.
        y = self.activate(self.norm(name="bn1")(jnp.concatenate(maps, axis=-1)))
        if self.bottleneck:
            y = self.dropout()(self.conv(4 * self.growth, (1, 1), name="conv1")(y))
            y = self.activate(self.norm(name="bn2")(y))
        last = "conv2" if self.bottleneck else "conv1"
        return self.dropout()(self.conv(self.growth, (3, 3), padding=1, name=last)(y))


class Transition(linen.Module):
    """Batch norm, activation, 1x1 convolution, 2x2 average pool.

    Attributes:
        features: number of output channels.
        conv, norm, dropout, avg_pool: make the layers.
        activate: the activation.

    Source: Huang et al., 2017, section 3, "Pooling layers" and "Compression".
    """

    features: int
    conv: Any
    norm: Any
    dropout: Any
    activate: Any
    avg_pool: Any

    @linen.compact
    def __call__(self, x: Images) -> Maps:
        """Halves height and width, rounded down.

        Args:
            x: a block's maps.
        """
        x = self.conv(self.features, (1, 1), name="conv")(self.activate(self.norm(name="bn")(x)))
        return self.avg_pool(2, name="pool")(self.dropout()(x))
