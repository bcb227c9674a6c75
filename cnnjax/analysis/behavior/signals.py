"""How signals and gradients change with depth: in a given network, and by initializer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from cnnjax import compiler
from cnnjax.analysis.calls import ModuleCall, evaluation_arguments, observe_calls
from cnnjax.analysis.looks.activations import activation_shapes


@dataclass(frozen=True)
class LayerSignal:
    """Statistics of a layer's output, and of the gradient that comes back to it.

    Attributes:
        name: the module call.
        mean: of the output's values.
        std: standard deviation of the output's values.
        zeros: share of values that are 0 or less.
        gradient: root mean square of the loss's gradient by the output's values.
    """

    name: str
    mean: float
    std: float
    zeros: float
    gradient: float


def layer_signals(
    model: linen.Module,
    variables: Any,
    images: Float[ArrayLike, "batch ..."],
    labels: Int[ArrayLike, "batch"],
    **apply_arguments: Any,
) -> list[LayerSignal]:
    """Measures the activations and the gradient of every layer, from first to last.

    Args:
        model: any Flax module that returns logits [batch, classes].
        variables: its variables.
        images: network inputs.
        labels: their classes, for the cross-entropy whose gradient is taken.
        **apply_arguments: keyword arguments of `__call__`; evaluation mode is chosen if not given.

    Returns:
        One entry for each call of a module that calls no other and returns one array.
    """
    arguments = evaluation_arguments(model, apply_arguments)
    shapes = activation_shapes(model, variables, images, **apply_arguments)

    # Zeros added to each output: the gradient by them is the gradient by the output.
    def loss(
        offsets: Mapping[str, Array], variables: Any, images: Array, labels: Array
    ) -> tuple[Array, dict[str, Array]]:
        outputs: dict[str, Array] = {}

        def around(call: ModuleCall, module: linen.Module, inputs: tuple[Any, ...], proceed) -> Any:
            output = proceed()
            if call.name in offsets:
                outputs[call.name] = output = output + offsets[call.name]
            return output

        with observe_calls(around):
            logits: Any = model.apply(variables, images, **arguments)
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        # The sum, so that the gradient by an image's output is that of its own loss.
        return losses.sum(), outputs

    @compiler.jit
    def measure(variables: Any, images: Array, labels: Array) -> dict[str, tuple[Array, ...]]:
        offsets = {name: jnp.zeros(shape.shape, shape.dtype) for name, shape in shapes.items()}
        gradients, outputs = jax.grad(loss, has_aux=True)(offsets, variables, images, labels)
        return {
            name: (x.mean(), x.std(), (x <= 0).mean(), jnp.sqrt((gradients[name] ** 2).mean()))
            for name, x in outputs.items()
        }

    measured = jax.device_get(measure(variables, jnp.asarray(images), jnp.asarray(labels)))
    return [LayerSignal(name, *map(float, measured[name])) for name in shapes]


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
