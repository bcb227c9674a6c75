"""The identity whose gradient is reversed, for features that a head must not be able to use."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from cnnjax.ops.accumulation import sum_dtype
from cnnjax.ops.arguments.table import checked
from cnnjax.ops.rules import make_op

__all__ = ["reverse_gradient"]


@checked(x="floats", strength="number or array")
def reverse_gradient(
    x: Float[Array, "*shape"], strength: float | Array = 1.0
) -> Float[Array, "*shape"]:
    """Returns `x` itself, whose gradient is multiplied by minus `strength`.

    What is computed from the result learns as usual; what computes `x` learns the opposite. The
    strength has no gradient.

    Args:
        x: an array of any shape and floating dtype, such as features.
        strength: by what the reversed gradient is multiplied, lambda in the paper; it may be
            traced, such as a function of the step.

    Returns:
        An array of the same shape, dtype and values.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from cnnjax import ops
        >>> def loss(x):
        ...     return (ops.reverse_gradient(x, 0.5) ** 2).sum()
        >>> loss(jnp.array([1.0, 3.0])), jax.grad(loss)(jnp.array([1.0, 3.0]))
        (Array(10., dtype=float32), Array([-1., -3.], dtype=float32))

    Source: Ganin et al. 2016 ("Domain-adversarial training of neural networks"), equation 17.
    """
    return _reverse_gradient(x, jnp.asarray(strength, sum_dtype(x.dtype)))


def _forward(x: jax.Array, strength: jax.Array) -> jax.Array:
    del strength
    return x


def _backward(strength: jax.Array, grad: jax.Array) -> tuple[jax.Array, jax.Array]:
    """dL/dx = -strength · g, and no gradient of the strength."""
    reversed_ = -strength.reshape((1,) * grad.ndim) * grad.astype(strength.dtype)
    return reversed_.astype(grad.dtype), jnp.zeros_like(strength)


_reverse_gradient = make_op(
    "reverse_gradient",
    _forward,
    _backward,
    # The gradient does not need x.
    save=lambda op, x, strength: (op(x, strength), strength),
    advice="leave the reversal out, since no function has its derivative",
)
