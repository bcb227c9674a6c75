"""The loss's gradient at a state, apart from the step that uses it: for histograms and hunts."""

from typing import Any

import jax

from cnnjax.recipes.plan import Plan
from cnnjax.tasks.classification import Batch
from cnnjax.training.step.gradients import batch_gradients
from cnnjax.training.step.state import TrainState


def loss_gradient(plan: Plan, state: TrainState, batch: Batch) -> Any:
    """Returns the gradient of the training loss with respect to the parameters.

    Args:
        plan: the run.
        state: the state before the step that takes this batch.
        batch: as the task describes it.

    Returns:
        A tree like `state.params`.
    """
    key = jax.random.fold_in(plan.keys()["dropout"], state.step)

    @jax.jit
    def gradient(state: TrainState, batch: Batch) -> Any:
        scale = None if state.loss_scale is None else state.loss_scale.scale
        return batch_gradients(
            state.params,
            state.collections,
            batch,
            key,
            model=plan.model,
            task=plan.task,
            scale=scale,
        )[0]

    return gradient(state, batch)
