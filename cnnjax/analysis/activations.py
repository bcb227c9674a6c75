"""The activations of a network by name: what every module of any Flax model put out."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from cnnjax.analysis.calls import ModuleCall, check_names, evaluation_arguments, observe_calls
from cnnjax.models.features import apply_with_features
from cnnjax.models.net import Net


def activations(
    model: nn.Module,
    variables: Any,
    images: Float[ArrayLike, "batch height width channels"],
    *,
    names: Sequence[str] | None = None,
    **apply_arguments: Any,
) -> dict[str, Array]:
    """The output of every module call of one application, in the order of the calls.

    Args:
      model: any Flax module.
      variables: its variables.
      images: network inputs, [batch, height, width, channels].
      names: the calls to keep, as `module_calls` names them; `None` keeps the leaves: the modules
        that call no other module.
      **apply_arguments: keyword arguments of `__call__`; evaluation mode is chosen if not given.

    Returns:
      Name to output array with the batch first; [batch, height, width, channels] for feature maps.
      Calls that return no single array are left out.

    Raises:
      KeyError: a name is no module call of the model; the message gives the nearest.
      TypeError: `__call__` needs arguments that were not given.
    """
    calls, outputs = _captured(model, variables, images, apply_arguments)
    if names is None:
        return {call.name: outputs[call.name] for call in calls if _shown(call, outputs)}
    check_names(names, list(outputs), f"layer of {type(model).__name__}")
    return {name: outputs[name] for name in names}


def stage_activations(
    model: nn.Module,
    variables: Any,
    images: Float[ArrayLike, "batch height width channels"],
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
    calls, outputs = _captured(model, variables, images, apply_arguments)
    leaves = [call.name for call in calls if _shown(call, outputs)]
    if len(leaves) <= limit:
        return {name: outputs[name] for name in leaves}
    deepest = max(len(call.path) for call in calls)
    for depth in range(deepest, 0, -1):
        # A leaf above this depth stands for itself.
        level = [
            call.name
            for call in calls
            if call.name in outputs
            and (len(call.path) == depth or (call.is_leaf and 0 < len(call.path) < depth))
        ]
        if len(level) <= limit:
            return {name: outputs[name] for name in level}
    # Even the outermost modules are too many: evenly spaced ones, the last included.
    spaced = [level[(i + 1) * len(level) // limit - 1] for i in range(limit)]
    return {name: outputs[name] for name in spaced}


def _shown(call: ModuleCall, outputs: dict[str, Array]) -> bool:
    return call.is_leaf and call.name in outputs


def _features(model: Net, variables: Any, images: Any) -> dict[str, Array]:
    """The features that the network names, from first to last, without auxiliary logits."""
    order: list[str] = []

    def run(variables, images):
        features = apply_with_features(model, variables, images)[1]
        order.extend(name for name in features if not name.startswith("aux"))
        return features

    # jit returns a dict sorted by its keys.
    features = jax.jit(run)(variables, images)
    return {name: features[name] for name in order}


def _captured(
    model: nn.Module, variables: Any, images: Any, apply_arguments: dict[str, Any]
) -> tuple[list[ModuleCall], dict[str, Array]]:
    """The calls, and the output arrays by call name, in the order of the calls."""
    arguments = evaluation_arguments(model, apply_arguments)

    def run(variables, images):
        return model.apply(
            variables, images, **arguments, capture_intermediates=True, mutable=["intermediates"]
        )[1]["intermediates"]

    with observe_calls() as calls:
        captured = jax.jit(run)(variables, images)
    outputs = {}
    for call in calls:
        tree = captured
        for part in call.path:
            tree = tree.get(part, {})
        values = tree.get("__call__", ())
        value = values[call.occurrence] if call.occurrence < len(values) else None
        if isinstance(value, jax.Array):
            outputs[call.name] = value
    return calls, outputs
