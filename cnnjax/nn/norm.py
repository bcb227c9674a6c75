"""Normalisation as Flax modules: batch normalisation and local response normalisation."""

import flax.linen as linen
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from cnnjax import ops


class BatchNorm(linen.BatchNorm):
    """Batch normalisation with `flax.linen.BatchNorm`'s fields, parameters and statistics.

    The arithmetic is in float32 (or wider) and the result in `dtype`; flax mixes bfloat16 inputs
    with float32 statistics, which strict dtype promotion refuses.

    Source: Ioffe and Szegedy, 2015, algorithm 1.
    """

    @linen.compact
    def __call__(
        self,
        x: Float[Array, "*batch channels"],
        use_running_average: bool | None = None,
        *,
        mask: jax.Array | None = None,
    ) -> Float[Array, "*batch channels"]:
        """Normalises each channel by the batch's or the running mean and variance."""
        x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        # The bare function: calling the wrapped method would count as a second call of this layer.
        normalise = linen.BatchNorm.__call__.__wrapped__
        return normalise(self, x, use_running_average, mask=mask)


class LocalResponseNorm(linen.Module):
    """x / (k + alpha * sum of squares over `size` neighbouring channels) ** beta.

    The defaults are AlexNet's; alpha is not divided by `size`, as Caffe and PyTorch do.

    Source: Krizhevsky et al., 2012, section 3.3.
    """

    size: int = 5
    alpha: float = 1e-4
    beta: float = 0.75
    k: float = 2.0

    @linen.compact
    def __call__(
        self, x: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch height width channels"]:
        """Normalises across channels, keeping the dtype."""
        return ops.local_response_norm(
            x, size=self.size, alpha=self.alpha, beta=self.beta, k=self.k
        )
