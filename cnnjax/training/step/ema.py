"""Exponential moving averages of a network's variables, which are evaluated in their place."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int32


def start_average(params: Any, collections: dict[str, Any]) -> dict[str, Any]:
    """Returns the averages before the first step: copies, so that buffers can be donated.

    Args:
        params: the parameters.
        collections: the other collections by name.
    """
    return jax.tree.map(jnp.array, {"params": params, "collections": collections})


def update_average(
    average: dict[str, Any],
    params: Any,
    collections: dict[str, Any],
    decay: float,
    step: Int32[Array, ""],
) -> dict[str, Any]:
    """Moves the averages towards the state after a step.

    In early steps the decay would keep the initial parameters for long. It is (1 + t) / (10 + t)
    where that is less, as in TensorFlow's `ExponentialMovingAverage(num_updates=t)`.
    Batch statistics are averaged too: those of the trained network belong to other parameters.

    Args:
        average: the averages so far, as `start_average` makes them.
        params: the parameters after the step.
        collections: the other collections after it.
        decay: weight of the averages so far.
        step: number of steps done before this one, t.
    """
    t = step.astype(jnp.float32)
    decay_now = jnp.minimum(decay, (1 + t) / (10 + t))

    def move(old: Array, new: Array) -> Array:
        if not jnp.issubdtype(new.dtype, jnp.floating):
            return new  # a counter has no average
        # The cast keeps the dtype of the average.
        return old + (1 - decay_now).astype(old.dtype) * (new - old)

    return jax.tree.map(move, average, {"params": params, "collections": collections})
