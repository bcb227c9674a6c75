"""Normalisation as Flax modules: batch normalisation and local response normalisation."""

import functools
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from cnnjax import ops
from cnnjax.ops.materialize import materialized


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
      axis_index_groups: groups of indices along that axis, each with statistics of its own.
      groups: number of equal parts of consecutive examples that the batch is cut into, each with
        statistics of its own ("ghost batches", Hoffer et al., 2017, algorithm 1); what enters the
        running statistics is their average.
      backward: "ours" for the rule of `cnnjax.ops.norm.batch`, "native" for JAX's.

    Source: Ioffe and Szegedy, 2015, algorithms 1 and 2.
    """

    use_running_average: bool
    momentum: float = 0.9
    epsilon: float = 1e-5
    dtype: Any = jnp.float32
    scale_init: Any = linen.initializers.ones
    axis_name: str | None = None
    axis_index_groups: tuple[tuple[int, ...], ...] | None = None
    groups: int = 1
    backward: str = "ours"

    @linen.compact
    def __call__(self, x: Float[Array, "*batch channels"]) -> Float[Array, "*batch channels"]:
        """Normalises each channel, then scales and shifts it.

        Raises:
          ValueError: the batch cannot be cut into `groups` equal parts.
        """
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
        y, mean, var = self._normalise(x, scale, bias)
        if not self.is_initializing() and self.is_mutable_collection("batch_stats"):
            for running, batch in ((running_mean, mean), (running_var, var)):
                new = jnp.asarray(batch, running.value.dtype)
                running.value = self.momentum * running.value + (1 - self.momentum) * new
        return y.astype(self.dtype)

    def _normalise(self, x: Array, scale: Array, bias: Array) -> tuple[Array, Array, Array]:
        rule = functools.partial(ops.batch_norm, epsilon=self.epsilon, backward=self.backward)
        if self.is_initializing():  # outside of the mapped function, and with any batch
            return rule(x, scale, bias)
        rule = functools.partial(
            rule, axis_name=self.axis_name, axis_index_groups=self.axis_index_groups
        )
        if self.groups == 1:
            return rule(x, scale, bias)
        if self.groups < 1 or x.shape[0] % self.groups:
            raise ValueError(
                f"BatchNorm: groups is {self.groups}, but a batch of {x.shape[0]} cannot be cut "
                "into that many equal parts; choose a divisor of the batch"
            )
        parts = x.reshape(self.groups, x.shape[0] // self.groups, *x.shape[1:])
        y, mean, var = jax.vmap(rule, in_axes=(0, None, None))(parts, scale, bias)
        return y.reshape(x.shape), mean.mean(axis=0), var.mean(axis=0)


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
        if self.backward == "ours":
            # Read shifted, once for each channel of the sum; so often XLA would rectify, too.
            x = materialized(x)
        return ops.local_response_norm(
            x,
            size=self.size,
            alpha=self.alpha,
            beta=self.beta,
            k=self.k,
            backward=self.backward,
        )
