"""The learning rate of a step, with the part that depends on the losses."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int
from optax.contrib import ReduceLROnPlateauState


def current_rate(
    schedule: optax.Schedule, step: Int[Array, ""] | int, opt_state: optax.OptState
) -> Float[Array, ""]:
    """Returns the learning rate at a step, with the plateau's factor from the optimizer's state.

    Args:
        schedule: the rate as a function of the step.
        step: number of steps done before that step.
        opt_state: the optimizer's state after that step.
    """
    rate = jnp.asarray(schedule(step))
    for node in _plateaus(opt_state):
        rate = rate * jnp.asarray(node.scale).astype(rate.dtype)
    return rate


def _plateaus(opt_state: Any) -> list[ReduceLROnPlateauState]:
    """Returns the states of plateaus; groups of parameters see one loss, so those of one group."""
    kinds = (ReduceLROnPlateauState, optax.transforms.PartitionState)
    found: list[ReduceLROnPlateauState] = []
    # These states are tuples, of which tree.leaves would give the entries.
    for node in jax.tree.leaves(opt_state, is_leaf=lambda node: isinstance(node, kinds)):
        if isinstance(node, ReduceLROnPlateauState):
            found.append(node)
        elif isinstance(node, optax.transforms.PartitionState):
            groups = [_plateaus(inner) for inner in node.inner_states.values()]
            found += next(filter(None, groups), [])
    return found
