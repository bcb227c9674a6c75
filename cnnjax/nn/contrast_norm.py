"""Local contrast normalization as a Flax module."""

from collections.abc import Sequence

import flax.linen as linen
from jaxtyping import Array, Float

from cnnjax import ops
from cnnjax.nn.layer_errors import naming_layer


class LocalContrastNorm(linen.Module):
    """Subtracts the mean of each pixel's neighborhood, and divides by the neighborhood's deviation.

    Attributes:
        window: odd height and width of the neighborhood, which spans all channels.
        epsilon: the smallest divisor, in the units of the input.
        backward: "ours" for the pools' rules of `cnnjax.ops`, "native" for JAX's autodiff.

    Example:
        >>> import jax.numpy as jnp
        >>> from cnnjax import nn
        >>> x = jnp.zeros((1, 9, 9, 1)).at[0, 4, 4, 0].set(1.0)
        >>> round(float(nn.LocalContrastNorm(3).apply({}, x)[0, 4, 4, 0]), 2)
        2.83

    Source: Jarrett et al., 2009, section 2.1.
    """

    window: int | Sequence[int] = 9
    epsilon: float = 1e-4
    backward: str = "ours"

    @linen.compact
    def __call__(
        self, x: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch height width channels"]:
        """Normalizes each pixel, keeping the dtype.

        Args:
            x: feature maps.

        Raises:
            ValueError: the window is even, or `epsilon` is not positive. The message names the
                layer.
        """
        with naming_layer(self):
            return ops.local_contrast_norm(
                x, window=self.window, epsilon=self.epsilon, backward=self.backward
            )
