"""Adding a bias to each channel, with a backward rule that sums as channels are best summed."""

from __future__ import annotations

from typing import cast

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from cnnjax.ops.accumulation import sum_dtype
from cnnjax.ops.backward import check_backward
from cnnjax.ops.channel_sums import channel_sums
from cnnjax.ops.conv.rules import align_varying
from cnnjax.ops.reverse_mode import reverse_mode_only

__all__ = ["add_bias"]


def add_bias(
    x: Float[Array, "*batch channels"],
    bias: Float[Array, " channels"],
    *,
    backward: str = "ours",
) -> Float[Array, "*batch channels"]:
    """Adds one value to each channel.

    Args:
      x: activations, channels last, floating dtype.
      bias: one value per channel, of the same dtype.
      backward: "ours" for the rule written here, whose dL/db is the upstream gradient summed over
        everything but the channels, in float32 for the half types; "native" for JAX's own, which
        forward mode needs.

    Returns:
      An array of the shape and dtype of `x`.

    Raises:
      ValueError: `bias` does not have one value per channel.
      TypeError: the dtypes differ.

    Source: LeCun et al., 1989.
    """
    check_backward("add_bias", backward)
    if jnp.ndim(x) < 1 or jnp.shape(bias) != jnp.shape(x)[-1:]:
        raise ValueError(
            f"add_bias: bias must have one value per channel, shape {jnp.shape(x)[-1:]}, got "
            f"{jnp.shape(bias)}"
        )
    if x.dtype != bias.dtype:
        raise TypeError(
            f"add_bias: x is {x.dtype} and bias {bias.dtype}; cast one to the other's dtype"
        )
    with jax.named_scope("add_bias"):
        if backward == "native" or x.ndim < 2:
            return _add(x, bias)
        x, bias = align_varying(x, bias)
        marked = (reverse_mode_only("add_bias", a) for a in (x, bias))
        return cast(jax.Array, _add_bias(*marked))


def _add(x: jax.Array, bias: jax.Array) -> jax.Array:
    return x + bias.reshape((1,) * (x.ndim - 1) + bias.shape)


@jax.custom_vjp
def _add_bias(x: jax.Array, bias: jax.Array) -> jax.Array:
    return _add(x, bias)


def _forward(x: jax.Array, bias: jax.Array):
    return add_bias(x, bias), None


def _backward(_: None, grad: jax.Array):
    """dL/dx = g, dL/db = Σ g over all but the channels."""
    return grad, channel_sums(grad.astype(sum_dtype(grad.dtype))).astype(grad.dtype)


_add_bias.defvjp(_forward, _backward)
