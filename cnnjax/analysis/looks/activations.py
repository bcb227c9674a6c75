"""The activations of a network by name: the output of every module of any Flax model."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flax.linen as linen
import jax
from jax.typing import ArrayLike
from jaxtyping import Array, Shaped

from cnnjax import compiler
from cnnjax.analysis.calls import ModuleCall, check_names, evaluation_arguments, observe_calls
from cnnjax.models.features import apply_with_features
from cnnjax.models.net import Net


def activations(
    model: linen.Module,
    variables: Any,
    images: Shaped[ArrayLike, "batch ..."],
    *,
    names: Sequence[str] | None = None,
    **apply_arguments: Any,
) -> dict[str, Array]:
    """Returns the output of every module call of one application, in the order of the calls.

    Args:
        model: any Flax module.
        variables: its variables.
        images: network inputs, usually [batch, height, width, channels].
        names: the calls to keep, as `module_calls` names them; None keeps the leaves: the modules
            that call no other module.
        **apply_arguments: keyword arguments of `__call__`; evaluation mode is chosen if not given.

    Returns:
        Name to output array with the batch first; [batch, height, width, channels] for feature
        maps. Calls that do not return a single array are left out.

    Raises:
        KeyError: a name is no module call of the model; the message gives the nearest.
        TypeError: `__call__` needs arguments that were not given.
    """

    def chosen(calls: Sequence[ModuleCall], outputs: Mapping[str, Array]) -> Sequence[str]:
        if names is None:
            return [call.name for call in calls if _shown(call, outputs)]
        check_names(names, list(outputs), f"layer of {type(model).__name__}")
        return names

    return _captured(model, variables, images, apply_arguments, chosen)


def activation_shapes(
    model: linen.Module,
    variables: Any,
    images: Any,
    *,
    names: Sequence[str] | None = None,
    **apply_arguments: Any,
) -> dict[str, jax.ShapeDtypeStruct]:
    """Returns the shapes and dtypes of `activations`, without running the model.

    Args:
        model: any Flax module.
        variables: its variables, or their shapes.
        images: network inputs, or the shape of them.
        names: the calls to keep, as in `activations`.
        **apply_arguments: keyword arguments of `__call__`; evaluation mode is chosen if not given.

    Returns:
        Name to shape and dtype, in the order of the calls.

    Raises:
        KeyError: a name is no module call of the model; the message gives the nearest.
        TypeError: `__call__` needs arguments that were not given.
    """
    # Filled while the shapes are traced.
    order: list[str] = []

    def run(variables: Any, images: Any) -> list[Array]:
        outputs = activations(model, variables, images, names=names, **apply_arguments)
        order[:] = outputs
        return list(outputs.values())

    return dict(zip(order, jax.eval_shape(run, variables, images), strict=True))


def output_shapes(
    model: linen.Module, variables: Any, images: Any
) -> dict[str, jax.ShapeDtypeStruct]:
    """Returns the shape and dtype of every module call that returns a single array.

    Args:
        model: any Flax module.
        variables: its variables, or their shapes.
        images: network inputs, or the shape of them.
    """
    order: list[str] = []

    def run(variables: Any, images: Any) -> list[Array]:
        outputs = _captured(model, variables, images, {}, lambda calls, found: list(found))
        order[:] = outputs
        return list(outputs.values())

    return dict(zip(order, jax.eval_shape(run, variables, images), strict=True))


def stage_activations(
    model: linen.Module,
    variables: Any,
    images: Shaped[ArrayLike, "batch ..."],
    *,
    limit: int = 16,
    **apply_arguments: Any,
) -> dict[str, Array]:
    """Returns the activations that show the way through a network in a few steps.

    These are the features that a network of `cnnjax.models` names, if they are at most `limit`. Of
    other models they are all leaves, if these are at most `limit`; else the outputs of the finest
    level of modules that has at most `limit` calls (for example, the blocks of a ResNet).

    Args:
        model: any Flax module.
        variables: its variables.
        images: network inputs, usually [batch, height, width, channels].
        limit: the largest number of activations, at least 1.
        **apply_arguments: keyword arguments of `__call__`; evaluation mode is chosen if not given.

    Returns:
        Name to output array, in the order of the calls, at most `limit` of them.

    Raises:
        ValueError: the limit is below 1.
    """
    if limit < 1:
        raise ValueError(f"stage_activations: limit {limit} is below 1")
    if isinstance(model, Net):
        features = _features(model, variables, images)
        if 0 < len(features) <= limit:
            return features

    def chosen(calls: Sequence[ModuleCall], outputs: Mapping[str, Array]) -> Sequence[str]:
        return _stages(calls, outputs, limit)

    return _captured(model, variables, images, apply_arguments, chosen)


def _stages(calls: Sequence[ModuleCall], outputs: Mapping[str, Array], limit: int) -> Sequence[str]:
    """Returns the names of all leaves if they are few, else of the finest short level."""
    leaves = [call.name for call in calls if _shown(call, outputs)]
    if len(leaves) <= limit:
        return leaves
    level: list[str] = []
    for depth in range(max(len(call.path) for call in calls), 0, -1):
        # A leaf above this depth has no modules at it: it is shown itself.
        level = [
            call.name
            for call in calls
            if call.name in outputs
            and (len(call.path) == depth or (call.is_leaf and 0 < len(call.path) < depth))
        ]
        if len(level) <= limit:
            return level
    # There are too many outermost modules: evenly spaced ones are shown, the last included.
    return [level[(i + 1) * len(level) // limit - 1] for i in range(limit)]


def _shown(call: ModuleCall, outputs: Mapping[str, Array]) -> bool:
    return call.is_leaf and call.name in outputs


def _features(model: Net, variables: Any, images: Any) -> dict[str, Array]:
    """Returns the features that the network names, in order, without auxiliary logits."""
    order: list[str] = []

    def run(variables, images):
        features = apply_with_features(model, variables, images)[1]
        order.extend(name for name in features if not name.startswith("aux"))
        return features

    # jit returns a dict sorted by its keys.
    features = compiler.jit(run)(variables, images)
    return {name: features[name] for name in order}


def _captured(
    model: linen.Module,
    variables: Any,
    images: Any,
    apply_arguments: Mapping[str, Any],
    choose: Callable[[Sequence[ModuleCall], Mapping[str, Array]], Sequence[str]],
) -> dict[str, Array]:
    """Returns some output arrays by call name.

    `choose` gets the calls and the arrays, and returns names. It is called while the program is
    traced, so that the other arrays are never computed to the end.
    """
    arguments = evaluation_arguments(model, apply_arguments)
    names: list[str] = []

    def run(variables: Any, images: Any) -> list[Array]:
        with observe_calls() as calls:
            captured = model.apply(
                variables,
                images,
                **arguments,
                # Flax stores each module's outputs under its path, one for each call.
                capture_intermediates=True,
                mutable=["intermediates"],
            )[1]["intermediates"]
        outputs = _by_name(calls, captured)
        names[:] = choose(calls, outputs)
        return [outputs[name] for name in names]

    # A list: jit returns a dict sorted by its keys.
    kept = compiler.jit(run)(variables, images)
    return dict(zip(names, kept, strict=True))


def _by_name(calls: Sequence[ModuleCall], captured: Any) -> dict[str, Array]:
    """Returns the output arrays by call name, in the order of the calls."""
    outputs = {}
    for call in calls:
        tree = captured
        for part in call.path:
            tree = tree.get(part, {})
        values = tree.get("__call__", ())
        value = values[call.occurrence] if call.occurrence < len(values) else None
        if isinstance(value, jax.Array):
            outputs[call.name] = value
    return outputs
