"""Which dimension of each array of a training state is cut along the mesh's model axis."""

from collections.abc import Sequence
from typing import Any

import jax
from jax.sharding import PartitionSpec

from cnnjax import patterns
from cnnjax.training.devices.mesh import MODEL
from cnnjax.training.errors import ConfigError

Rules = Sequence[tuple[str, int | None]]


def parameter_specs(params: Any, rules: Rules, size: int) -> Any:
    """Returns how each parameter is cut.

    Args:
        params: the parameters, or their shapes.
        rules: pairs of a pattern of paths and a dimension (negative ones count from the end), or
            None for whole; empty for all whole.
        size: devices along the model axis.

    Returns:
        A tree of `PartitionSpec`s.

    Raises:
        ConfigError: some parameters match no rule, do not have the dimension that theirs names, or
            cannot be cut into equal parts along it; all of them are named.
    """
    if not rules:
        return jax.tree.map(lambda leaf: PartitionSpec(), params)
    # None is not a leaf of a pytree, so each value is wrapped in a tuple.
    try:
        matched = patterns.match([(pattern, (value,)) for pattern, value in rules], params)
    except ValueError as error:
        raise ConfigError(f"--sharding: {error}") from None
    values = [
        value for (value,) in jax.tree.leaves(matched, is_leaf=lambda x: isinstance(x, tuple))
    ]
    specs, problems = [], []
    leaves = jax.tree.leaves(params)
    for name, leaf, dimension in zip(patterns.path_names(params), leaves, values, strict=True):
        rank = len(leaf.shape)
        if dimension is None:
            specs.append(PartitionSpec())
        elif not -rank <= dimension < rank or leaf.shape[dimension] % size:
            problems.append(f"{name} of shape {tuple(leaf.shape)} along dimension {dimension}")
        else:
            specs.append(PartitionSpec(*[None] * (dimension % rank), MODEL))
    if problems:
        raise ConfigError(
            f"--sharding: cannot be cut into {size} equal parts: {'; '.join(problems)}; name "
            "another dimension, or a rule PATTERN=replicated before it"
        )
    return jax.tree.unflatten(jax.tree.structure(params), specs)


def state_specs(state: Any, specs: Any) -> Any:
    """Returns how each array of a training state is cut.

    What belongs to a parameter (momentum, moving averages) is cut as the parameter is: an array
    whose path ends with the parameter's and whose shape is the same. All else is whole.

    Args:
        state: the state, or its shapes, with the parameters in `state.params`.
        specs: a tree of `PartitionSpec`s, as `parameter_specs` gives it.
    """
    leaves = jax.tree.leaves(state.params)
    parameters = {
        name: (tuple(leaf.shape), spec)
        for name, leaf, spec in zip(
            patterns.path_names(state.params),
            leaves,
            jax.tree.leaves(specs, is_leaf=lambda x: isinstance(x, PartitionSpec)),
            strict=True,
        )
    }

    def spec_of(path: str, shape: tuple[int, ...]) -> PartitionSpec:
        parts = path.split("/")
        # The longest end of the path is tried first: it is the most specific.
        for start in range(len(parts)):
            found = parameters.get("/".join(parts[start:]))
            if found is not None and found[0] == shape:
                return found[1]
        return PartitionSpec()

    found = [
        spec_of(name, tuple(leaf.shape))
        for name, leaf in zip(patterns.path_names(state), jax.tree.leaves(state), strict=True)
    ]
    return jax.tree.unflatten(jax.tree.structure(state), found)


def bytes_per_device(arrays: Any) -> int:
    """Returns the bytes that the fullest device holds of a tree of arrays.

    Args:
        arrays: a pytree of placed arrays.
    """
    held: dict[Any, int] = {}
    for leaf in jax.tree.leaves(arrays):
        for shard in leaf.addressable_shards:
            held[shard.device] = held.get(shard.device, 0) + shard.data.nbytes
    return max(held.values(), default=0)
