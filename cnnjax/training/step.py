"""One step of training and one of evaluation, as pure functions."""

from typing import Any

import jax
import optax
from flax import linen as nn
from jaxtyping import Array, Key

from cnnjax.tasks.classification import Batch, Classification, Sums
from cnnjax.training.state import TrainState


def train_step(
    state: TrainState,
    batch: Batch,
    key: Key[Array, ""],
    *,
    model: nn.Module,
    task: Classification,
    optimizer: optax.GradientTransformation,
) -> tuple[TrainState, Sums]:
    """Does one gradient step.

    Args:
        state: the state before.
        batch: a pytree as the task describes it.
        key: the run's key; what a step draws from it depends on the step's number alone.
        model: the network.
        task: gives the loss.
        optimizer: gives the update.

    Returns:
        The state after, and the task's metric sums over the batch (before the update).
    """

    def loss(params: Any) -> tuple[Array, Any]:
        variables = {"params": params, **state.collections}
        return task.loss(model, variables, batch, jax.random.fold_in(key, state.step), train=True)

    gradients, (sums, updated) = jax.grad(loss, has_aux=True)(state.params)
    updates, opt_state = optimizer.update(gradients, state.opt_state, state.params)
    return (
        state.replace(
            step=state.step + 1,
            params=optax.apply_updates(state.params, updates),
            collections={**state.collections, **updated},
            opt_state=opt_state,
        ),
        sums,
    )


def eval_step(
    variables: dict[str, Any], batch: Batch, *, model: nn.Module, task: Classification
) -> Sums:
    """Returns the task's metric sums over a batch, with the network in evaluation mode."""
    # Nothing is random in evaluation: the key only fills its place.
    _, (sums, _) = task.loss(model, variables, batch, jax.random.key(0), train=False)
    return sums
