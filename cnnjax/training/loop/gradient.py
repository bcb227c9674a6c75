"""The loss's gradient at a state, apart from the step that uses it: for histograms and searches."""

from typing import Any

from cnnjax import compiler, nn
from cnnjax.tasks.base import Batch
from cnnjax.training.run import Run
from cnnjax.training.step.gradients import batch_gradients
from cnnjax.training.step.keys import step_key
from cnnjax.training.step.state import TrainState


def loss_gradient(run: Run, state: TrainState, batch: Batch) -> Any:
    """Returns the gradient of the training loss with respect to the parameters, as the step has it.

    Where devices or groups of examples have batch statistics of their own, it differs from the
    step's: here the whole batch shares them.

    Args:
        run: the run.
        state: the state before the step that takes this batch.
        batch: as the task describes it.

    Returns:
        A tree like `state.params`.
    """
    frozen = run.frozen_norms(state.variables, run.phase(int(state.step)))

    @compiler.jit
    def gradient(state: TrainState, batch: Batch) -> Any:
        key = step_key(run.keys["dropout"], state.step)
        # The step compiles with the same frozen norms.
        with nn.batch_statistics(frozen=frozen):
            return batch_gradients(
                state, batch, key, model=run.model, task=run.task, parts=run.accumulate
            )[0]

    return gradient(state, batch)
