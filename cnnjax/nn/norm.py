"""Normalization as Flax modules: batch normalization and local response normalization."""

import functools
from typing import Any, ClassVar

import flax.linen as linen
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from cnnjax import ops
from cnnjax.nn.batch_statistics import current_statistics
from cnnjax.ops.materialize import materialized


class BatchNorm(linen.Module):
    """Batch normalization, with the variables of `flax.linen.BatchNorm`.

    The arithmetic is in float32 (or wider) and the result in `dtype`; flax's module mixes dtypes
    when `dtype` is bfloat16, which strict dtype promotion refuses.

    Attributes:
        use_running_average: whether the layer uses the running statistics and keeps them; if not,
            it uses the batch's, which enter the running ones.
        momentum: weight of the old running statistics; the variance that enters is the biased one.
        epsilon: added to the variance.
        dtype: dtype of the result; parameters and statistics are float32.
        scale_init: initializer of gamma; beta starts at 0.
        axis_name: mapped axis over which the batch's statistics are averaged, or None. A layer that
            gives this or one of the next two takes none of the three from `nn.batch_statistics`.
        axis_index_groups: groups of indices along that axis, each with statistics of its own.
        groups: number of equal parts of consecutive examples into which the batch is cut, each with
            statistics of its own ("ghost batches", Hoffer et al., 2017, algorithm 1); their average
            enters the running statistics. None means 1, or the groups of `nn.batch_statistics`.
        backward: "ours" for the rule of `cnnjax.ops.norm.batch`, "native" for JAX's.

    Example:
        >>> import jax
        >>> from cnnjax import nn
        >>> x = jax.ShapeDtypeStruct((2, 8, 8, 16), "float32")
        >>> norm = nn.BatchNorm(use_running_average=False)
        >>> y, variables = jax.eval_shape(norm.init_with_output, jax.random.key(0), x)
        >>> y.shape, sorted(variables["params"]), sorted(variables["batch_stats"])
        ((2, 8, 8, 16), ['bias', 'scale'], ['mean', 'var'])

    Source: Ioffe and Szegedy, 2015, algorithms 1 and 2.
    """

    use_running_average: bool
    momentum: float = 0.9
    epsilon: float = 1e-5
    dtype: Any = jnp.float32
    scale_init: Any = linen.initializers.ones
    axis_name: str | None = None
    axis_index_groups: tuple[tuple[int, ...], ...] | None = None
    groups: int | None = None
    backward: str = "ours"

    reads_batch_statistics: ClassVar[bool] = True

    @linen.compact
    def __call__(
        self, x: Float[Array, "*batch channels"], *, mask: jax.typing.ArrayLike | None = None
    ) -> Float[Array, "*batch channels"]:
        """Normalizes each channel, then scales and shifts it.

        Args:
            x: activations of any rank, channels last.
            mask: true where a value counts in the statistics, of a shape that broadcasts to that of
                x. Over a mapped axis, devices count by their numbers of such values; flax's layer
                averages the devices' means.

        Raises:
            ValueError: the batch cannot be cut into `groups` equal parts, or the mask does not fit.
        """
        shape = (x.shape[-1],)
        # Variables may be NumPy arrays, as those of a finished run are.
        scale = jnp.asarray(self.param("scale", self.scale_init, shape, jnp.float32))
        bias = jnp.asarray(self.param("bias", linen.initializers.zeros, shape, jnp.float32))
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, shape, jnp.float32)
        running_var = self.variable("batch_stats", "var", jnp.ones, shape, jnp.float32)
        if self.use_running_average or self._is_frozen():
            mean, var = jnp.asarray(running_mean.value), jnp.asarray(running_var.value)
            y = ops.batch_norm_inference(x, scale, bias, mean, var, epsilon=self.epsilon)
            return y.astype(self.dtype)
        y, mean, var = self._normalize(x, scale, bias, mask)
        # As in flax, initialization leaves the statistics at 0 and 1.
        if not self.is_initializing() and self.is_mutable_collection("batch_stats"):
            for running, batch in ((running_mean, mean), (running_var, var)):
                new = jnp.asarray(batch, running.value.dtype)
                running.value = self.momentum * running.value + (1 - self.momentum) * new
        return y.astype(self.dtype)

    def _normalize(
        self,
        x: Float[Array, "*batch channels"],
        scale: Float[Array, " channels"],
        bias: Float[Array, " channels"],
        mask: jax.typing.ArrayLike | None,
    ) -> tuple[
        Float[Array, "*batch channels"], Float[Array, " channels"], Float[Array, " channels"]
    ]:
        """Returns the normalized activations, and the batch's mean and variance."""
        rule = functools.partial(ops.batch_norm, epsilon=self.epsilon, backward=self.backward)
        # Variables are made outside of the mapped function, and from a batch of any size.
        if self.is_initializing():
            return rule(x, scale, bias, mask=mask)
        axis, axis_groups, groups = self._shared_over()
        rule = functools.partial(rule, axis_name=axis, axis_index_groups=axis_groups)
        if groups == 1:
            return rule(x, scale, bias, mask=mask)
        if groups < 1 or x.shape[0] % groups:
            raise ValueError(
                f"BatchNorm: groups is {groups}, but a batch of {x.shape[0]} cannot be cut "
                "into that many equal parts; choose a divisor of the batch"
            )

        # Mapped over the parts, the rule takes statistics of each part alone.
        def cut(batch):
            return batch.reshape(groups, x.shape[0] // groups, *batch.shape[1:])

        if mask is None:
            y, mean, var = jax.vmap(rule, in_axes=(0, None, None))(cut(x), scale, bias)
        else:
            masks = cut(_per_example(jnp.asarray(mask), x))
            y, mean, var = jax.vmap(
                lambda part, kept: rule(part, scale, bias, mask=kept), in_axes=(0, 0)
            )(cut(x), masks)
        return y.reshape(x.shape), mean.mean(axis=0), var.mean(axis=0)

    def _is_frozen(self) -> bool:
        return not self.is_initializing() and current_statistics().is_frozen(self.path)

    def _shared_over(self) -> tuple[Any, Any, int]:
        """Returns the mapped axis, groups along it, and the number of groups of examples."""
        own = (self.axis_name, self.axis_index_groups, self.groups)
        if any(value is not None for value in own):
            return self.axis_name, self.axis_index_groups, 1 if self.groups is None else self.groups
        around = current_statistics()
        return around.axis, around.axis_groups, around.groups


def _per_example(mask: jax.Array, x: jax.Array) -> jax.Array:
    """Returns the mask with the batch axis of `x`, so that it can be cut as the batch is."""
    if mask.ndim < x.ndim:
        mask = mask.reshape((1,) * (x.ndim - mask.ndim) + mask.shape)
    return jnp.broadcast_to(mask, (x.shape[0], *mask.shape[1:]))


class LocalResponseNorm(linen.Module):
    """Divides by (k + alpha * sum of squares over `size` neighboring channels) ** beta.

    The defaults are AlexNet's. `alpha` is not divided by `size`, unlike in Caffe and PyTorch.

    Attributes:
        size: number of neighboring channels, the channel itself among them.
        alpha: weight of the sum of squares.
        beta: the exponent.
        k: added to the weighted sum.
        backward: "ours" for the rule of `cnnjax.ops`, "native" for JAX's autodiff.

    Example:
        >>> import jax
        >>> from cnnjax import nn
        >>> x = jax.ShapeDtypeStruct((2, 8, 8, 16), "float32")
        >>> jax.eval_shape(lambda x: nn.LocalResponseNorm().apply({}, x), x).shape
        (2, 8, 8, 16)

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
        """Normalizes across channels, keeping the dtype.

        Args:
            x: feature maps.
        """
        if self.backward == "ours":
            # The sum reads `x` once for each of the `size` channels. Without a copy in memory, XLA
            # would compute the rectifier before this layer again at each of these reads.
            x = materialized(x)
        return ops.local_response_norm(
            x,
            size=self.size,
            alpha=self.alpha,
            beta=self.beta,
            k=self.k,
            backward=self.backward,
        )
