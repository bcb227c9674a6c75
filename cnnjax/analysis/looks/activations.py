"""The activations of a network by name: what every module of any Flax model put out."""

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
    """The output of every module call of one application, in the order of the calls.

    Args:
        model: any Flax module.
        variables: its variables.
        images: network inputs, usually [batch, height, width, channels].
        names: the calls to keep, as `module_calls` names them; `None` keeps the leaves: the modules
            that call no other module.
        **apply_arguments: keyword arguments of `__call__`; evaluation mode is chosen if not given.

    Returns:
        Name to output array with the batch first; [batch, height, width, channels] for feature
        maps. Calls that return no single array are left out.

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
    """The shapes and dtypes of `activations`, without running the model.

    Args:
        model, names, **apply_arguments: as there.
        variables, images: as there, or their shapes.

    Returns:
        Name to shape and dtype, in the order of the calls.

    Raises:
        KeyError, TypeError: as there.
    """
    order: list[str] = []

    def run(variables: Any, images: Any) -> list[Array]:
        outputs = activations(model, variables, images, names=names, **apply_arguments)
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
    """The activations that show the way through the network in a handful of steps.

    The features that a network of `cnnjax.models` names, where there are few. Of other models all
    leaves where there are few; for a deep network the outputs of the finest level of its modules
    that has at most `limit` calls (the blocks of a ResNet, say).

    Args:
        model, variables, images, **apply_arguments: as for `activations`.
        limit: the largest number of activations, at least 1.

    Returns:
        Name to output array, in the order of the calls, at most `limit` of them.
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
    """Names of all leaves where they are few, else of the finest level that has few modules."""
    leaves = [call.name for call in calls if _shown(call, outputs)]
    if len(leaves) <= limit:
        return leaves
    level: list[str] = []
    for depth in range(max(len(call.path) for call in calls), 0, -1):
        # A leaf above this depth stands for itself.
        level = [
            call.name
            for call in calls
            if call.name in outputs
            and (len(call.path) == depth or (call.is_leaf and 0 < len(call.path) < depth))
        ]
        if len(level) <= limit:
            return level
    # Even the outermost modules are too many: evenly spaced ones, the last included.
    return [level[(i + 1) * len(level) // limit - 1] for i in range(limit)]


def _shown(call: ModuleCall, outputs: Mapping[str, Array]) -> bool:
    return call.is_leaf and call.name in outputs


def _features(model: Net, variables: Any, images: Any) -> dict[str, Array]:
    """The features that the network names, from first to last, without auxiliary logits."""
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
    """The chosen ones of the output arrays, by call name.

    Args:
        choose: given the calls and the arrays, returns names; the others are not even kept.
    """
    arguments = evaluation_arguments(model, apply_arguments)
    names: list[str] = []

    def run(variables: Any, images: Any) -> list[Array]:
        with observe_calls() as calls:
            captured = model.apply(
                variables,
                images,
                **arguments,
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
    """The output arrays by call name, in the order of the calls."""
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
