"""Activations by name, and those of one's own by registering or by path."""

import functools
from collections.abc import Callable

import jax

from cnnjax import ops
from cnnjax.parts import PartError, Registry

Activation = Callable[[jax.Array], jax.Array]
"""An elementwise function: an array in, one of the same shape and dtype out."""

ACTIVATIONS: Registry[Activation] = Registry("activation", example="my_package.layers:mish")
"""The activations, by the names that networks take."""

SCOPE = "activation"
"""The named scope of an activation's operations; analyses read them as a part of the layer."""


def _identity(x: jax.Array) -> jax.Array:
    """Returns x: the layer stays linear."""
    return x


# Rules of our own exist only where they were measured to pay. These are JAX's, through `ops` where
# `ops` has the function.
ACTIVATIONS.add("relu", ops.relu)
ACTIVATIONS.add("relu6", ops.relu6)
ACTIVATIONS.add("leaky_relu", ops.leaky_relu)
ACTIVATIONS.add("scaled_tanh", ops.scaled_tanh)
ACTIVATIONS.add("tanh", jax.numpy.tanh)
ACTIVATIONS.add("sigmoid", ops.sigmoid)
# Clevert, Unterthiner and Hochreiter, 2015, equation 15, with alpha = 1.
ACTIVATIONS.add("elu", jax.nn.elu)
# Elfwing, Uchibe and Doya, 2017, equation 4.
ACTIVATIONS.add("silu", jax.nn.silu)
# Hendrycks and Gimpel, 2016, section 2: the approximation with tanh, as flax and JAX compute it.
ACTIVATIONS.add("gelu", jax.nn.gelu)
ACTIVATIONS.add("identity", _identity)


def find_activation(name: str) -> Activation:
    """Returns the activation of a name or path, in a named scope.

    Args:
        name: "relu", "relu6" (ends at 6), "leaky_relu" (of slope 0.01), "scaled_tanh"
            (1.7159 tanh(2x/3)), "tanh", "sigmoid", "elu", "silu", "gelu" or "identity"; a name that
            was registered with `ACTIVATIONS.register`; or a path, such as "my_package.layers:mish".

    Raises:
        PartError: there is no such activation; the message gives the nearest names.
        ValueError: it is no text, or its path holds something that can't be called.

    Example:
        >>> import jax.numpy as jnp
        >>> from cnnjax import nn
        >>> nn.find_activation("leaky_relu")(jnp.array([-1.0, 2.0]))
        Array([-0.01,  2.  ], dtype=float32)
    """
    if not isinstance(name, str):
        raise ValueError(
            f"activation must be a name or a path, got {name!r}; register a function of your own "
            "with nn.ACTIVATIONS.register('mine'), or give its path, such as "
            f"{ACTIVATIONS.example!r}"
        )
    found = ACTIVATIONS.get(name)
    if not callable(found):
        raise PartError(
            f"activation {name!r} is a {type(found).__name__}, which can't be called; give the "
            "path of a function of one array"
        )
    return _scoped(found)


@functools.cache
def _scoped(activation: Activation) -> Activation:
    """Returns the function with its operations in the scope; the same one at each call."""

    @functools.wraps(activation)
    def scoped(x: jax.Array) -> jax.Array:
        with jax.named_scope(SCOPE):
            return activation(x)

    return scoped
