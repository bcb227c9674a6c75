"""Batch normalization, with a backward rule that stores the input and two numbers per channel."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from cnnjax.ops.accumulation import sum_dtype
from cnnjax.ops.agreement import check_per_channel
from cnnjax.ops.arguments.table import checked
from cnnjax.ops.channel_sums import channel_sums, plain_channel_sums
from cnnjax.ops.norm.masked import masked_batch_norm, row
from cnnjax.ops.rules import make_op

__all__ = ["batch_norm", "batch_norm_inference"]

Groups = tuple[tuple[int, ...], ...]


@checked(
    x="floats",
    scale="floats",
    bias="floats",
    mask="mask or None",
    epsilon="number from 0",
    axis_name="axis names or None",
    axis_index_groups="axis groups or None",
    backward="backward",
)
def batch_norm(
    x: Float[Array, "*batch channels"],
    scale: Float[Array, " channels"],
    bias: Float[Array, " channels"],
    *,
    mask: ArrayLike | None = None,
    epsilon: float = 1e-5,
    axis_name: str | tuple[str, ...] | None = None,
    axis_index_groups: Groups | None = None,
    backward: str = "ours",
) -> tuple[Float[Array, "*batch channels"], Float[Array, " channels"], Float[Array, " channels"]]:
    """Returns each channel normalized over the batch: y = scale (x - μ) / √(σ² + ε) + bias.

    μ and σ² (the biased variance, mean of squared deviations) are taken over all axes but the
    last, in float32 for the half types. They are meant for running averages: no gradient flows
    through the two that are returned.

    Args:
        x: activations, channels last, floating dtype; an empty batch has no statistics: NaN.
        scale: γ, one value for each channel.
        bias: β, one value for each channel.
        mask: true where a value counts in μ and σ², of a shape that broadcasts to that of x; all
            values are normalized. None counts them all.
        epsilon: added to the variance, in squared units of x.
        axis_name: mapped axes (of `jax.pmap`, `jax.vmap`, `jax.shard_map`) to take statistics over
            as well.
        axis_index_groups: groups of indices along a single mapped axis, each with statistics of its
            own; None for one group.
        backward: "ours" for the rule written here, which stores `x`, μ and 1 / √(σ² + ε); "native"
            for JAX's derivative, which forward mode needs.

    Returns:
        y in the dtype of `x`, then μ and σ² in float32 (float64 for float64).

    Raises:
        ValueError: `scale` or `bias` does not have one value per channel, `x` is not floating, the
            mask does not broadcast to x, or there are groups but no axis.

    Example:
        >>> import jax.numpy as jnp
        >>> from cnnjax import ops
        >>> y, mean, variance = ops.batch_norm(jnp.array([[1.0], [3.0]]), jnp.ones(1), jnp.zeros(1))
        >>> y[:, 0].round(3), mean, variance
        (Array([-1.,  1.], dtype=float32), Array([2.], dtype=float32), Array([1.], dtype=float32))

    Source: Ioffe and Szegedy, 2015, algorithm 1; the gradient is section 3's, with dL/dμ and
    dL/dσ² substituted.
    """
    options: dict[str, Any] = dict(epsilon=epsilon, axis=(axis_name, axis_index_groups))
    _check(x, scale, bias, **options)
    if mask is None:
        results = _batch_norm(x, scale, bias, backward=backward, **options)
    else:
        kept = jnp.asarray(mask, bool)
        results = masked_batch_norm(
            x, scale, bias, kept, backward=backward, within="batch_norm", **options
        )
    y, mean, variance = results
    return y, lax.stop_gradient(mean), lax.stop_gradient(variance)


@checked(
    x="floats",
    scale="floats",
    bias="floats",
    mean="floats",
    variance="floats",
    epsilon="number or array from 0",
)
def batch_norm_inference(
    x: Float[Array, "*batch channels"],
    scale: Float[Array, " channels"],
    bias: Float[Array, " channels"],
    mean: Float[Array, " channels"],
    variance: Float[Array, " channels"],
    *,
    epsilon: float = 1e-5,
) -> Float[Array, "*batch channels"]:
    """Returns `x` normalized with given statistics: y = scale (x - mean) / √(variance + ε) + bias.

    This is one multiplication and one addition per value, which needs no backward rule of its own:
    JAX's derivative is as cheap, in either mode.

    Args:
        x: activations, channels last, floating dtype.
        scale: γ, one value for each channel.
        bias: β, one value for each channel.
        mean: means of the training set, such as running averages.
        variance: variances of the training set, such as running averages.
        epsilon: added to the variance, in squared units of x.

    Returns:
        y in the dtype of `x`; the half types are computed in float32.

    Raises:
        ValueError: one of the four does not have one value per channel, or `x` is not floating.

    Example:
        >>> import jax.numpy as jnp
        >>> from cnnjax import ops
        >>> one, zero = jnp.ones(1), jnp.zeros(1)
        >>> x = jnp.array([[1.0], [3.0]])
        >>> ops.batch_norm_inference(x, one, zero, mean=one, variance=4 * one)[:, 0].round(3)
        Array([0., 1.], dtype=float32)

    Source: Ioffe and Szegedy, 2015, algorithm 2.
    """
    _check_arrays("batch_norm_inference", x, scale=scale, bias=bias, mean=mean, variance=variance)
    with jax.named_scope("batch_norm_inference"):
        wide = sum_dtype(x.dtype)
        scale, bias, mean, variance = (a.astype(wide) for a in (scale, bias, mean, variance))
        factor = scale * lax.rsqrt(variance + epsilon)
        return _affine(x, factor, bias - mean * factor)


def _check(x, scale, bias, *, epsilon, axis):
    del epsilon
    _check_arrays("batch_norm", x, scale=scale, bias=bias)
    if axis[0] is None and axis[1] is not None:
        raise ValueError(
            f"batch_norm: axis_index_groups is {axis[1]}, but axis_name is None; name the mapped "
            "axis whose indices they are"
        )


def _forward(x, scale, bias, *, epsilon, axis):
    return _normalize(x, scale, bias, epsilon, axis)[:3]


def _native(x, scale, bias, *, epsilon, axis):
    return _normalize(x, scale, bias, epsilon, axis, plain_channel_sums)[:3]


def _save(_, x, scale, bias, *, epsilon, axis):
    y, mean, variance, inverse = _normalize(x, scale, bias, epsilon, axis)
    return (y, mean, variance), (x, scale, bias, mean, inverse)


def _backward(saved, grads, *, epsilon, axis):
    """dL/dx = γ / σ (g - mean(g) - x̂ mean(g x̂)), with x̂ = (x - μ) / σ computed again."""
    del epsilon
    x, scale, bias, mean, inverse = saved
    wide = mean.dtype
    grad = grads[0].astype(wide)
    # Computed again: storing it would take as much memory as x.
    normal = (x.astype(wide) - row(mean, x)) * row(inverse, x)
    bias_grad = channel_sums(grad)
    scale_grad = channel_sums(grad * normal)
    mean_grad = _over_devices(bias_grad / _count(x), axis)
    mean_grad_normal = _over_devices(scale_grad / _count(x), axis)
    centered = grad - row(mean_grad, x) - normal * row(mean_grad_normal, x)
    input_grad = row(scale.astype(wide) * inverse, x) * centered
    return (
        input_grad.astype(x.dtype),
        scale_grad.astype(scale.dtype),
        bias_grad.astype(bias.dtype),
    )


_batch_norm = make_op("batch_norm", _forward, _backward, save=_save, native=_native)


def _normalize(x, scale, bias, epsilon, axis, sums=channel_sums):
    """Returns y, the mean, the variance and 1 / √(variance + ε)."""
    wide = sum_dtype(x.dtype)
    values = x.astype(wide)
    mean = _over_devices(sums(values) / _count(x), axis)
    # From deviations, not from Σ x² - μ²: the difference of large numbers would lose its digits.
    deviations = values - row(mean, x)
    variance = _over_devices(sums(deviations * deviations) / _count(x), axis)
    inverse = lax.rsqrt(variance + epsilon)
    factor = scale.astype(wide) * inverse
    y = deviations * row(factor, x) + row(bias.astype(wide), x)
    return y.astype(x.dtype), mean, variance, inverse


def _count(x: jax.Array) -> jax.Array:
    """Returns the number of values per channel, which may be symbolic."""
    return jnp.asarray(math.prod(x.shape[:-1]), sum_dtype(x.dtype))


def _affine(x: jax.Array, factor: jax.Array, offset: jax.Array) -> jax.Array:
    return (x.astype(factor.dtype) * row(factor, x) + row(offset, x)).astype(x.dtype)


def _over_devices(value: jax.Array, axis) -> jax.Array:
    name, groups = axis
    # Every device has as many values, so that the mean of means is the mean of all.
    return value if name is None else lax.pmean(value, name, axis_index_groups=groups)


def _check_arrays(op: str, x: jax.Array, **per_channel: jax.Array) -> None:
    if jnp.ndim(x) < 2 or not jnp.issubdtype(x.dtype, jnp.floating):
        raise ValueError(
            f"{op}: x must be floating with at least a batch and a channel axis, got {x.dtype} "
            f"{jnp.shape(x)}"
        )
    check_per_channel(op, x, **per_channel)
