"""Normalisation as Flax modules: batch normalisation and local response normalisation."""

from typing import Any

import flax.linen as linen
import jax.numpy as jnp
from jaxtyping import Array, Float

from cnnjax import ops


class BatchNorm(linen.Module):
    """Batch normalisation, with the variables of `flax.linen.BatchNorm`.

    The arithmetic is in float32 (or wider) and the result in `dtype`; flax's module mixes dtypes
    when `dtype` is bfloat16, which strict dtype promotion refuses.

    Attributes:
      use_running_average: whether the running statistics are used and kept as they are, or the
        batch's are used, and enter the running ones.
      momentum: weight of the old running statistics; the variance that enters is the biased one.
      epsilon: added to the variance.
      dtype: dtype of the result; parameters and statistics are float32.
      scale_init: initialiser of gamma; beta starts at 0.
      axis_name: mapped axis over which the batch's statistics are averaged, or None.
      backward: "ours" for the rule of `cnnjax.ops.batch_norm`, "native" for JAX's.

    Source: Ioffe and Szegedy, 2015, algorithms 1 and 2.
    """

    use_running_average: bool
    momentum: float = 0.9
    epsilon: float = 1e-5
    dtype: Any = jnp.float32
    scale_init: Any = linen.initializers.ones
    axis_name: str | None = None
    backward: str = "ours"

    @linen.compact
    def __call__(self, x: Float[Array, "*batch channels"]) -> Float[Array, "*batch channels"]:
        """Normalises each channel, then scales and shifts it."""
        shape = (x.shape[-1],)
        scale = self.param("scale", self.scale_init, shape)
        bias = self.param("bias", linen.initializers.zeros, shape)
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, shape)
        running_var = self.variable("batch_stats", "var", jnp.ones, shape)
        if self.use_running_average:
            y = ops.batch_norm_inference(
                x, scale, bias, running_mean.value, running_var.value, epsilon=self.epsilon
            )
            return y.astype(self.dtype)
        y, mean, var = ops.batch_norm(
            x,
            scale,
            bias,
            epsilon=self.epsilon,
            # Initialisation runs outside of the mapped function.
            axis_name=None if self.is_initializing() else self.axis_name,
            backward=self.backward,
        )
        if not self.is_initializing() and self.is_mutable_collection("batch_stats"):
            for running, batch in ((running_mean, mean), (running_var, var)):
                new = jnp.asarray(batch, running.value.dtype)
                running.value = self.momentum * running.value + (1 - self.momentum) * new
        return y.astype(self.dtype)


class LocalResponseNorm(linen.Module):
    """x / (k + alpha * sum of squares over `size` neighbouring channels) ** beta.

    The defaults are AlexNet's; alpha is not divided by `size`, as Caffe and PyTorch do.

    Source: Krizhevsky et al., 2012, section 3.3.
    """

    size: int = 5
    alpha: float = 1e-4
    beta: float = 0.75
    k: float = 2.0
    backward: str = "ours"

    @linen.compact
    def __call__(
        self, x: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch height width channels"]:
        """Normalises across channels, keeping the dtype."""
        return ops.local_response_norm(
            x,
            size=self.size,
            alpha=self.alpha,
            beta=self.beta,
            k=self.k,
            backward=self.backward,
        )
