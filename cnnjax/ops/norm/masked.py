"""Batch normalization with statistics of a part of the batch, and its backward rule."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jax import lax

from cnnjax.ops.accumulation import sum_dtype
from cnnjax.ops.agreement import check_per_channel
from cnnjax.ops.channel_sums import channel_sums, plain_channel_sums
from cnnjax.ops.rules import make_op


def _check(x, scale, bias, mask, *, epsilon, axis):
    del epsilon, axis
    check_per_channel("batch_norm", x, scale=scale, bias=bias)
    try:
        fits = jnp.broadcast_shapes(mask.shape, x.shape) == x.shape
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            f"batch_norm: mask must broadcast to the shape of x, {x.shape}, got {mask.shape}; one "
            f"value for each example has the shape {(x.shape[0], *[1] * (x.ndim - 1))}"
        )


def _forward(x, scale, bias, mask, *, epsilon, axis):
    return _normalize(x, scale, bias, mask, epsilon, axis)[:3]


def _native(x, scale, bias, mask, *, epsilon, axis):
    return _normalize(x, scale, bias, mask, epsilon, axis, plain_channel_sums)[:3]


def _save(_, x, scale, bias, mask, *, epsilon, axis):
    y, mean, variance, inverse = _normalize(x, scale, bias, mask, epsilon, axis)
    return (y, mean, variance), (x, scale, bias, mask, mean, inverse)


def _backward(saved, grads, *, epsilon, axis):
    """dL/dx = γ / σ (g - m (Σ g + x̂ Σ g x̂) / n), where m is the mask and n the number that counts.

    Every g counts in the sums, since every output is normalized by μ and σ.
    """
    del epsilon
    x, scale, bias, mask, mean, inverse = saved
    wide = mean.dtype
    grad = grads[0].astype(wide)
    normal = (x.astype(wide) - row(mean, x)) * row(inverse, x)
    bias_grad = channel_sums(grad)
    scale_grad = channel_sums(grad * normal)
    count = _count(mask, x, axis)
    through_mean = row(_over_devices(bias_grad, axis) / count, x)
    through_deviation = row(_over_devices(scale_grad, axis) / count, x)
    centered = grad - _selected(through_mean + normal * through_deviation, mask)
    input_grad = row(scale.astype(wide) * inverse, x) * centered
    return (
        input_grad.astype(x.dtype),
        scale_grad.astype(scale.dtype),
        bias_grad.astype(bias.dtype),
        None,
    )


masked_batch_norm = make_op(
    "masked_batch_norm", _forward, _backward, check=_check, save=_save, native=_native
)
"""`masked_batch_norm(x, scale, bias, mask, …)` takes statistics where `mask` is true."""


def row(values: jax.Array, x: jax.Array) -> jax.Array:
    """Returns one value for each channel with the axes that `x` has.

    Args:
        values: [channels].
        x: channels last.
    """
    return values.reshape((1,) * (x.ndim - 1) + values.shape)


def _normalize(x, scale, bias, mask, epsilon, axis, sums=channel_sums):
    """Returns y, the mean, the variance and 1 / √(variance + ε)."""
    wide = sum_dtype(x.dtype)
    values, count = x.astype(wide), _count(mask, x, axis)
    mean = _over_devices(sums(_selected(values, mask)), axis) / count
    deviations = values - row(mean, x)
    squares = _selected(deviations * deviations, mask)
    variance = _over_devices(sums(squares), axis) / count
    inverse = lax.rsqrt(variance + epsilon)
    y = deviations * row(scale.astype(wide) * inverse, x) + row(bias.astype(wide), x)
    return y.astype(x.dtype), mean, variance, inverse


def _selected(values: jax.Array, mask: jax.Array) -> jax.Array:
    """Returns the values where the mask is true, and 0 elsewhere, also where they are NaN."""
    return jnp.where(_as_wide(mask, values), values, jnp.zeros((), values.dtype))


def _count(mask: jax.Array, x: jax.Array, axis) -> jax.Array:
    """Returns the number of values that count, for each channel, on all devices together."""
    mask = _as_wide(mask, x)
    wide = sum_dtype(x.dtype)
    # Where the mask has a single value along an axis, it stands for each of them.
    repeats = math.prod(n // m for n, m in zip(x.shape[:-1], mask.shape[:-1], strict=True))
    counted = jnp.sum(mask.astype(wide), tuple(range(x.ndim - 1))) * jnp.asarray(repeats, wide)
    return _over_devices(jnp.broadcast_to(counted, x.shape[-1:]), axis)


def _as_wide(mask: jax.Array, x: jax.Array) -> jax.Array:
    return mask.reshape((1,) * (x.ndim - mask.ndim) + mask.shape)


def _over_devices(value: jax.Array, axis) -> jax.Array:
    name, groups = axis
    # Sums rather than means: devices may count different numbers of values.
    return value if name is None else lax.psum(value, name, axis_index_groups=groups)
