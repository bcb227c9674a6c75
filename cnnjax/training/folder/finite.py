"""The arrays of a training state that hold NaN or infinity."""

from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
from flax import serialization

from cnnjax import compiler, patterns


def nonfinite_names(state: Any) -> list[str]:
    """Returns the paths of the arrays of a state that hold NaN or infinity.

    Single infinite numbers in the optimizer's state are allowed: bookkeeping, such as the lowest
    loss so far, starts at infinity.

    Args:
        state: any pytree that flax can turn into a state dict, on the host or on devices.
    """
    tree = serialization.to_state_dict(state)
    # One program for all arrays, of which only the flags come to the host.
    bad = jax.tree.leaves(jax.device_get(_flags(tree)))
    return [name for name, is_bad in zip(patterns.path_names(tree), bad, strict=True) if is_bad]


@compiler.jit
def _flags(tree: Any) -> Any:
    return jax.tree_util.tree_map_with_path(_is_bad, tree)


def _is_bad(path: tuple[Any, ...], leaf: jax.Array) -> jax.Array | bool:
    if not jnp.issubdtype(leaf.dtype, jnp.inexact):
        return jnp.zeros((), bool)
    bookkeeping = leaf.ndim == 0 and _first_key(path) == "opt_state"
    return (jnp.isnan(leaf) if bookkeeping else ~jnp.isfinite(leaf)).any()


def _first_key(path: Iterable[Any]) -> str:
    return next((str(getattr(part, "key", part)) for part in path), "")
