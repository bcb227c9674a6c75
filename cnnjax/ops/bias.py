"""Adding a bias to each channel, with a backward rule that sums channels by `channel_sums`."""

from __future__ import annotations

import jax
from jaxtyping import Array, Float

from cnnjax.ops.accumulation import sum_dtype
from cnnjax.ops.agreement import check_per_channel
from cnnjax.ops.arguments.table import checked
from cnnjax.ops.channel_sums import channel_sums
from cnnjax.ops.rules import make_op

__all__ = ["add_bias"]


@checked(x="floats", bias="floats", backward="backward")
def add_bias(
    x: Float[Array, "*batch channels"],
    bias: Float[Array, " channels"],
    *,
    backward: str = "ours",
) -> Float[Array, "*batch channels"]:
    """Returns `x` with one value added to each channel.

    Args:
        x: activations, channels last, floating dtype.
        bias: one value per channel, of the same dtype.
        backward: "ours" for the rule written here, whose dL/db is the upstream gradient summed over
            everything but the channels, in float32 for the half types; "native" for JAX's own,
            which forward mode needs.

    Returns:
        An array of the shape and dtype of `x`.

    Raises:
        ValueError: `bias` does not have one value per channel.
        TypeError: the dtypes differ.

    Example:
        >>> import jax.numpy as jnp
        >>> from cnnjax import ops
        >>> ops.add_bias(jnp.zeros((2, 3)), jnp.array([1.0, 2.0, 3.0]))
        Array([[1., 2., 3.],
               [1., 2., 3.]], dtype=float32)

    Source: LeCun et al., 1989.
    """
    return _add_bias(x, bias, backward=backward)


def _check(x: jax.Array, bias: jax.Array) -> None:
    check_per_channel("add_bias", x, bias=bias)
    if x.dtype != bias.dtype:
        raise TypeError(
            f"add_bias: x is {x.dtype} and bias {bias.dtype}; cast one to the other's dtype"
        )


def _forward(x: jax.Array, bias: jax.Array) -> jax.Array:
    # Explicit axes: callers may forbid implicit ones (`jax_numpy_rank_promotion`).
    return x + bias.reshape((1,) * (x.ndim - 1) + bias.shape)


def _backward(_: None, grad: jax.Array) -> tuple[jax.Array, jax.Array]:
    """dL/dx = g, dL/db = Σ g over all but the channels."""
    return grad, channel_sums(grad.astype(sum_dtype(grad.dtype))).astype(grad.dtype)


_add_bias = make_op(
    "add_bias",
    _forward,
    _backward,
    check=_check,
    # The gradient needs neither operand.
    save=lambda op, x, bias: (op(x, bias), None),
    least_rank=2,
)
