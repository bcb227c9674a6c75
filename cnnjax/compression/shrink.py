"""Variables and networks without some channels, and the parents in which these are zeros."""

from collections.abc import Iterable, Mapping
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool

from cnnjax import nn
from cnnjax.compression.channel_groups import AxisOf, ChannelGroup, ChannelGroups
from cnnjax.compression.paths import flat_paths, nested_paths

Kept = Mapping[AxisOf, Bool[np.ndarray, "_"]]
"""For each axis that loses places, which of them stay."""

Removed = Mapping[str, np.ndarray]
"""For each group by name, the numbers of its channels that are removed."""


def kept_places(groups: Iterable[ChannelGroup], removed: Removed, variables: Any) -> dict:
    """Returns which places stay along each axis that loses some.

    Args:
        groups: the groups of the network.
        removed: the channels that are removed, by group.
        variables: the network's, or their shapes.
    """
    shapes = flat_paths(variables)
    kept: dict[AxisOf, np.ndarray] = {}
    for group in groups:
        for channel in removed.get(group.name, ()):
            for (path, axis), places in group.members.items():
                if (path, axis) not in kept:
                    kept[path, axis] = np.ones(shapes[path].shape[axis], bool)
                kept[path, axis][places[channel]] = False
    return kept


def shrunk_variables(variables: Any, kept: Kept) -> dict[str, Any]:
    """Returns variables without the places that do not stay; their arrays are smaller.

    Args:
        variables: the parent's, arrays or shapes.
        kept: which places stay.
    """
    flat = flat_paths(variables)
    for (path, axis), stays in kept.items():
        value = flat[path]
        if isinstance(value, jax.ShapeDtypeStruct):
            shape = tuple(int(stays.sum()) if d == axis else n for d, n in enumerate(value.shape))
            flat[path] = jax.ShapeDtypeStruct(shape, value.dtype)
        else:
            # NumPy's functions need no compilation for each shape.
            flat[path] = np.compress(stays, np.asarray(value), axis=axis)
    flat = {path: _on_device(value) for path, value in flat.items()}
    return nested_paths(flat)


def masked_variables(variables: Any, kept: Kept) -> dict[str, Any]:
    """Returns variables of the parent's shapes that are zero wherever a place does not stay.

    With these the parent computes what the shrunk network computes.

    Args:
        variables: the parent's.
        kept: which places stay.
    """
    flat = flat_paths(variables)
    for (path, axis), stays in kept.items():
        value = np.asarray(flat[path])
        sides = [len(stays) if d == axis else 1 for d in range(value.ndim)]
        flat[path] = np.where(stays.reshape(sides), value, np.zeros((), value.dtype))
    return nested_paths({path: _on_device(value) for path, value in flat.items()})


def _on_device(value: Any) -> Any:
    return jnp.asarray(value) if isinstance(value, np.ndarray) else value


def shrunk_model(
    model: linen.Module, groups: ChannelGroups, variables: Any, kept: Kept
) -> linen.Module:
    """Returns a network whose layers have as many outputs as the shrunk variables.

    Args:
        model: the parent.
        groups: its groups of channels.
        variables: its variables, or their shapes.
        kept: which places stay.
    """
    before = flat_paths(variables)
    after = flat_paths(shrunk_variables(_shapes(variables), kept))
    changes: dict[str, dict[str, Any]] = {}
    for path, old in before.items():
        new = after[path]
        layer = "/".join(path[1:-1])
        fields = groups.fields.get(layer, {})
        if path[-1] != "kernel" or old.shape[-1] == new.shape[-1] or "features" not in fields:
            continue
        changes[layer] = {"features": new.shape[-1]}
        count = fields.get("feature_group_count", 1)
        # Depthwise: each group has one input channel, and as many filters as before.
        if count > 1 and len(old.shape) > 1 and old.shape[-2] == 1:
            changes[layer]["feature_group_count"] = new.shape[-1] * count // old.shape[-1]
    return nn.change_layers(model, changes)


def _shapes(variables: Any) -> Any:
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), dict(variables))
