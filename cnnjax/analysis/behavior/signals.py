"""The size of every layer's output, and of the gradient of any loss that comes back to it."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
from flax.core import tracers
from jax.typing import ArrayLike
from jaxtyping import Array, Shaped

from cnnjax import compiler
from cnnjax.analysis.calls import ModuleCall, check_names, evaluation_arguments, observe_calls

Loss = Callable[[Any, Any], Array]
"""A function of a network's outputs and a batch, which returns one loss per example."""

Compute = Callable[[Any, Any], Any]
"""A function of variables and a batch that applies Flax modules, and returns losses or None."""


@dataclass(frozen=True)
class LayerSignal:
    """Statistics of a layer's output, and of the gradient that comes back to it.

    Attributes:
        name: the module call.
        mean: of the output's values.
        std: standard deviation of the output's values.
        off: share of values that are 0 or less: a ReLU that follows turns them off.
        zeros: share of values that are exactly 0.
        gradient: root mean square of the gradient by the output's values; NaN without a loss.
    """

    name: str
    mean: float
    std: float
    off: float
    zeros: float
    gradient: float


def layer_signals(
    model: linen.Module,
    variables: Any,
    images: Shaped[ArrayLike, "batch ..."],
    batch: Any = None,
    loss: Loss | None = None,
    *,
    names: Sequence[str] | None = None,
    **apply_arguments: Any,
) -> list[LayerSignal]:
    """Measures the output of every layer, and the gradient of a loss by it, from first to last.

    Args:
        model: any Flax module.
        variables: its variables.
        images: network inputs.
        batch: what the loss needs besides the outputs, a pytree of arrays: labels, masks, boxes.
        loss: returns the losses of the outputs, one for each example; they are added up, so that
            the gradient by an example's output is that of its own loss. None for no gradients.
        names: the calls to measure, as `module_calls` names them; None for the modules that call no
            other module.
        **apply_arguments: keyword arguments of `__call__`; evaluation mode is chosen if not given.

    Returns:
        One entry for each call that returns one array of floats. Calls inside of a loop or of
        recomputation (`flax.linen.scan`, `flax.linen.remat`) are left out.

    Raises:
        KeyError: a name is no such call; the message gives the nearest.
        TypeError: `__call__` needs arguments that were not given.

    Example:
        >>> import flax.linen as linen
        >>> import jax
        >>> import optax
        >>> from cnnjax.analysis.behavior.signals import layer_signals
        >>> model = linen.Sequential([linen.Dense(8), linen.relu, linen.Dense(2)])
        >>> x = jax.random.normal(jax.random.key(0), (16, 4))
        >>> variables = model.init(jax.random.key(1), x)
        >>> def loss(outputs, batch):
        ...     return optax.squared_error(outputs, batch["target"]).sum(axis=-1)
        >>> for signal in layer_signals(model, variables, x, {"target": x[:, :2]}, loss):
        ...     print(signal.name, signal.gradient > 0)
        layers_0 True
        layers_2 True
    """
    arguments = evaluation_arguments(model, apply_arguments)

    def compute(variables: Any, given: tuple[Any, Any]) -> Any:
        inputs, batch = given
        outputs = model.apply(variables, inputs, **arguments)
        return None if loss is None else loss(outputs, batch)

    return signals_of(compute, variables, (jnp.asarray(images), batch), names=names)


def signals_of(
    compute: Compute, variables: Any, batch: Any, *, names: Sequence[str] | None = None
) -> list[LayerSignal]:
    """Measures the layers of any computation with Flax modules, such as the loss of a task.

    Args:
        compute: applies the network; its result is added up and differentiated. None for no
            gradients.
        variables: its first argument.
        batch: its second argument, a pytree of arrays.
        names: see `layer_signals`.

    Returns:
        See `layer_signals`.

    Raises:
        KeyError: a name is no call that can be measured; the message gives the nearest.
    """
    shapes = _output_shapes(compute, variables, batch, names)
    order = list(shapes)

    # Zeros added to each output: the gradient by them is the gradient by the output.
    def loss(
        offsets: Mapping[str, Array], variables: Any, batch: Any
    ) -> tuple[Array, dict[str, Array]]:
        outputs: dict[str, Array] = {}

        def around(call: ModuleCall, module: linen.Module, inputs: tuple[Any, ...], proceed) -> Any:
            output = proceed()
            if call.name in offsets:
                outputs[call.name] = output = output + offsets[call.name]
            return output

        with observe_calls(around):
            losses = compute(variables, batch)
        return jnp.float32(jnp.nan) if losses is None else losses.sum(), outputs

    @compiler.jit
    def measure(variables: Any, batch: Any) -> list[tuple[Array, ...]]:
        offsets = {name: jnp.zeros(shape.shape, shape.dtype) for name, shape in shapes.items()}
        gradients, outputs = jax.grad(loss, has_aux=True)(offsets, variables, batch)
        return [
            (
                # In half precision the squares overflow early.
                *(statistic(outputs[name].astype(jnp.float32)) for statistic in _STATISTICS),
                jnp.sqrt((gradients[name].astype(jnp.float32) ** 2).mean()),
            )
            for name in order
        ]

    measured = jax.device_get(measure(variables, batch))
    has_loss = jax.eval_shape(compute, variables, batch) is not None
    signals = []
    for name, values in zip(order, measured, strict=True):
        mean, std, off, zeros, gradient = map(float, values)
        signals.append(LayerSignal(name, mean, std, off, zeros, gradient if has_loss else math.nan))
    return signals


_STATISTICS: tuple[Callable[[Array], Array], ...] = (
    jnp.mean,
    jnp.std,
    lambda x: (x <= 0).mean(),
    lambda x: (x == 0).mean(),
)


def _output_shapes(
    compute: Compute, variables: Any, batch: Any, names: Sequence[str] | None
) -> dict[str, jax.ShapeDtypeStruct]:
    """Returns the shapes of the outputs that can be measured, in the order of the calls."""
    shapes: dict[str, jax.ShapeDtypeStruct] = {}

    def run(variables: Any, batch: Any) -> Any:
        trace = tracers.current_trace()

        def around(call: ModuleCall, module: linen.Module, inputs: tuple[Any, ...], proceed) -> Any:
            output = proceed()
            # A value of an inner program, such as the body of a loop, cannot leave it.
            outside = tracers.current_trace() == trace
            if (
                outside
                and isinstance(output, jax.Array)
                and jnp.issubdtype(output.dtype, jnp.floating)
            ):
                shapes[call.name] = jax.ShapeDtypeStruct(output.shape, output.dtype)
            return output

        with observe_calls(around) as calls:
            result = compute(variables, batch)
        leaves.extend(call.name for call in calls if call.is_leaf)
        order.extend(call.name for call in calls)
        return result

    leaves: list[str] = []
    order: list[str] = []
    jax.eval_shape(run, variables, batch)
    if names is not None:
        check_names(names, list(shapes), "layer")
    chosen = leaves if names is None else names
    return {name: shapes[name] for name in order if name in shapes and name in chosen}
