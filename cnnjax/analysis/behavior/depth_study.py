"""What an initializer and an activation do to signals and gradients in a deep stack of layers."""

from collections.abc import Callable
from dataclasses import dataclass

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from cnnjax import compiler


@dataclass(frozen=True)
class DepthStudy:
    """Statistics of a deep stack of dense layers, each an array [depth].

    Attributes:
        mean: of the activations after each layer.
        std: standard deviation of the activations after each layer.
        saturated: share of units whose slope is below a twentieth of the activation's largest.
        gradient: root mean square of the gradient that comes back to each layer's output, where the
            last layer's has a root mean square of 1.
        variety: spread between the units as a share of the activations' root mean square; 0 where
            all units of a layer compute the same.
    """

    mean: Float[np.ndarray, "depth"]
    std: Float[np.ndarray, "depth"]
    saturated: Float[np.ndarray, "depth"]
    gradient: Float[np.ndarray, "depth"]
    variety: Float[np.ndarray, "depth"]


def depth_study(
    activation: Callable[[Array], Array],
    initializer: Callable[..., Array],
    key: Array,
    *,
    depth: int = 10,
    width: int = 256,
    batch: int = 256,
) -> DepthStudy:
    """Measures what an initializer and an activation do to signals and gradients with depth.

    A stack of dense layers without biases gets inputs of mean 0 and standard deviation 1.

    Args:
        activation: elementwise.
        initializer: called as `initializer(key, (width, width), float32)`.
        key: randomness of the weights, the inputs and the gradient at the end.
        depth: number of layers.
        width: units of each layer.
        batch: number of inputs.

    Returns:
        The statistics by depth.

    Source: Glorot and Bengio, 2010, section 4; He et al., 2015, section 2.2; LeCun et al., 1998,
    "Efficient BackProp", sections 4.4 to 4.6.
    """
    keys = jax.random.split(key, depth + 2)
    weights = jnp.stack([initializer(k, (width, width), jnp.float32) for k in keys[:depth]])
    inputs, end = (jax.random.normal(k, (batch, width)) for k in keys[depth:])
    measured = compiler.jit(_depth_statistics, static_argnums=0)(activation, weights, inputs, end)
    return DepthStudy(*jax.device_get(measured))


def _depth_statistics(
    activation: Callable[[Array], Array],
    weights: Float[Array, "depth width width"],
    inputs: Float[Array, "batch width"],
    end: Float[Array, "batch width"],
) -> tuple[Array, ...]:
    """Returns the fields of `DepthStudy`; `end` is the gradient by the last layer's output."""

    def slope(x: Array) -> Array:
        return jnp.abs(jax.jvp(activation, (x,), (jnp.ones_like(x),))[1])

    def forward(offsets: Array) -> tuple[Array, tuple[Array, Array]]:
        def layer(x: Array, own: tuple[Array, Array]) -> tuple[Array, tuple[Array, Array]]:
            weight, offset = own
            before = x @ weight
            x = activation(before) + offset
            return x, (x, before)

        return jax.lax.scan(layer, inputs, (weights, offsets))

    # Zeros added to each output: the gradient by them is the gradient by the output.
    offsets = jnp.zeros((len(weights), *inputs.shape))
    _, pullback, (outputs, before) = jax.vjp(forward, offsets, has_aux=True)
    (gradients,) = pullback(end)
    size = jnp.sqrt((outputs**2).mean(axis=(1, 2)))
    variety = jnp.sqrt(outputs.var(axis=2).mean(axis=1)) / jnp.maximum(size, 1e-30)
    # The usual activations are steepest near 0.
    steepest = slope(jnp.linspace(-4.0, 4.0, 801)).max()
    saturated = slope(before) < steepest / 20
    return (
        outputs.mean(axis=(1, 2)),
        outputs.std(axis=(1, 2)),
        saturated.mean(axis=(1, 2)),
        jnp.sqrt((gradients**2).mean(axis=(1, 2))),
        variety,
    )


def initializers() -> dict[str, Callable[..., Array]]:
    """Returns the initializers of the lectures by name."""
    return {
        "constant 0.01": linen.initializers.constant(0.01),
        "N(0, 0.01²)": linen.initializers.normal(0.01),
        "N(0, 1)": linen.initializers.normal(1.0),
        "LeCun": linen.initializers.lecun_normal(),
        "Glorot": linen.initializers.glorot_normal(),
        "He": linen.initializers.he_normal(),
    }
