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

    def is_plateau(node: Any) -> bool:
        return isinstance(node, ReduceLROnPlateauState)

    # The plateau's state is a tuple, of which tree.leaves would give the entries.
    for node in jax.tree.leaves(opt_state, is_leaf=is_plateau):
        if is_plateau(node):
            rate = rate * jnp.asarray(node.scale).astype(rate.dtype)
    return rate
