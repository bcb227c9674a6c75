"""Elementwise nonlinearities of the classic networks."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from cnnjax.ops.arguments.table import checked

__all__ = ["leaky_relu", "relu", "relu6", "scaled_tanh", "sigmoid"]


@checked(x="floats")
def relu(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Returns the rectifier max(x, 0), whose derivative at 0 is 0.

    Args:
        x: an array of any shape and floating dtype.

    Returns:
        An array of the same shape and dtype.

    Example:
        >>> import jax.numpy as jnp
        >>> from cnnjax import ops
        >>> ops.relu(jnp.array([-2.0, 0.0, 3.0]))
        Array([0., 0., 3.], dtype=float32)

    Source: Nair and Hinton, 2010; AlexNet (Krizhevsky et al., 2012), section 3.1.
    """
    with jax.named_scope("relu"):
        return jax.nn.relu(x)


@checked(x="floats")
def relu6(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Returns the rectifier that ends at 6: min(max(x, 0), 6), whose derivative at 0 and 6 is 0.

    Args:
        x: an array of any shape and floating dtype.

    Returns:
        An array of the same shape and dtype, between 0 and 6.

    Example:
        >>> import jax.numpy as jnp
        >>> from cnnjax import ops
        >>> ops.relu6(jnp.array([-2.0, 3.0, 8.0]))
        Array([0., 3., 6.], dtype=float32)

    Source: Krizhevsky, 2010 ("Convolutional deep belief networks on CIFAR-10"); MobileNet-v2
    (Sandler et al., 2018), section 3.3.
    """
    with jax.named_scope("relu6"):
        return _relu6(x)


@jax.custom_jvp
def _relu6(x: jax.Array) -> jax.Array:
    """Returns min(max(x, 0), 6); NaN stays NaN, and the backward pass keeps one mask, not two."""
    return jnp.clip(x, 0, 6)


_relu6.defjvps(lambda tangent, y, x: jnp.where((y > 0) & (y < 6), tangent, jnp.zeros_like(tangent)))


@checked(x="floats", negative_slope="number or array")
def leaky_relu(x: Float[Array, "*shape"], negative_slope: float = 0.01) -> Float[Array, "*shape"]:
    """Returns x where it is positive or zero, and negative_slope times x elsewhere.

    Args:
        x: an array of any shape and floating dtype.
        negative_slope: the slope below zero (no unit).

    Returns:
        An array of the same shape and dtype.

    Example:
        >>> import jax.numpy as jnp
        >>> from cnnjax import ops
        >>> ops.leaky_relu(jnp.array([-2.0, 0.0, 3.0]), negative_slope=0.5)
        Array([-1.,  0.,  3.], dtype=float32)

    Source: Maas, Hannun and Ng, 2013, section 2.
    """
    with jax.named_scope("leaky_relu"):
        return jax.nn.leaky_relu(x, negative_slope)


@checked(x="floats")
def scaled_tanh(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Returns 1.7159 tanh(2x / 3), LeNet's squashing function: f(1) = 1, f(-1) = -1 (to 1e-5).

    Args:
        x: an array of any shape and floating dtype.

    Returns:
        An array of the same shape and dtype, between -1.7159 and 1.7159.

    Example:
        >>> import jax.numpy as jnp
        >>> from cnnjax import ops
        >>> ops.scaled_tanh(jnp.array([-1.0, 0.0, 1.0])).round(3)
        Array([-1.,  0.,  1.], dtype=float32)

    Source: LeCun et al., 1998, equation 6 and appendix A (A = 1.7159, S = 2/3).
    """
    with jax.named_scope("scaled_tanh"):
        return 1.7159 * jnp.tanh((2.0 / 3.0) * x)


@checked(x="floats")
def sigmoid(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Returns the logistic function 1 / (1 + exp(-x)).

    Args:
        x: an array of any shape and floating dtype.

    Returns:
        An array of the same shape and dtype, between 0 and 1.

    Example:
        >>> import jax.numpy as jnp
        >>> from cnnjax import ops
        >>> ops.sigmoid(jnp.array([-100.0, 0.0, 100.0]))
        Array([0. , 0.5, 1. ], dtype=float32)
    """
    with jax.named_scope("sigmoid"):
        return jax.nn.sigmoid(x)
