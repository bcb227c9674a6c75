"""One step of training as a pure function."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import flax.linen as linen
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key

from cnnjax.tasks.base import Batch, Sums, Task
from cnnjax.training.step.ema import update_average
from cnnjax.training.step.gradients import batch_gradients
from cnnjax.training.step.keys import step_key
from cnnjax.training.step.loss_scaling import all_finite, choose
from cnnjax.training.step.state import TrainState


@dataclass(frozen=True)
class StepOptions:
    """Options of a step besides the task and the optimizer.

    Attributes:
        accumulate: number of parts into which a batch is cut, one after another.
        ema_decay: decay of the moving averages, where the state keeps them.
    """

    accumulate: int = 1
    ema_decay: float = 0.0


class StepResult(NamedTuple):
    """What a step computed from its batch, before the update.

    Attributes:
        loss: what training minimizes.
        sums: the task's metric sums.
    """

    loss: Float[Array, ""]
    sums: Sums


def train_step(
    state: TrainState,
    batch: Batch,
    key: Key[Array, ""],
    *,
    model: linen.Module,
    task: Task,
    optimizer: optax.GradientTransformation,
    options: StepOptions = StepOptions(),
    axis_name: str | None = None,
) -> tuple[TrainState, StepResult]:
    """Runs one gradient step.

    Where the state has a loss scale, a step whose gradients are not finite changes nothing but the
    scale and the step's number.

    Args:
        state: the state before.
        batch: a pytree as the task describes it.
        key: the run's key; the step's own key follows from it and the step's number.
        model: the network.
        task: computes the loss.
        optimizer: computes the update; it gets the batch's loss as `value`.
        options: how the batch is cut and variables are averaged.
        axis_name: mapped axis (of `jax.pmap`) over which the batch is spread, where there is one;
            the state after the step is then the same on all its devices.

    Returns:
        The state after, and the loss and metric sums of the batch.

    Raises:
        ValueError: the batch cannot be cut as the options require.
    """
    gradients, loss, sums, updated = batch_gradients(
        state,
        batch,
        step_key(key, state.step),
        model=model,
        task=task,
        parts=options.accumulate,
        axis_name=axis_name,
    )
    new = _updated(state, gradients, loss, updated, optimizer, options.ema_decay)
    # The task may use the sums of this batch for its next state.
    new = new.replace(task_state=task.next_state(state.task_state, sums))
    return _unless_overflown(state, new, gradients), StepResult(loss, sums)


def unless_empty(
    before: TrainState, after: TrainState, weights: Sequence[Array], axis_name: str | None = None
) -> TrainState:
    """Returns the state after a step, or the one before where no example of the batch counts.

    Batch statistics, momentum and decay would move by examples that do not exist.

    Args:
        before: the state before the step.
        after: the state after it.
        weights: the examples' weights, [batch] in each stream.
        axis_name: mapped axis (of `jax.pmap`) over which the batch is spread, where there is one.
    """
    total = jnp.stack([values.sum() for values in weights]).sum()
    if axis_name is not None:
        total = jax.lax.psum(total, axis_name)
    # An empty step is counted too: order and keys follow the number of steps.
    return choose(total > 0, after, before.replace(step=after.step))


def _updated(
    state: TrainState,
    gradients: Any,
    loss: Float[Array, ""],
    updated: dict[str, Any],
    optimizer: optax.GradientTransformation,
    ema_decay: float,
) -> TrainState:
    """Returns the state with parameters, optimizer, collections and averages after the step."""
    updates, opt_state = optax.with_extra_args_support(optimizer).update(
        gradients, state.opt_state, state.params, value=loss
    )
    params = optax.apply_updates(state.params, updates)
    collections = {**state.collections, **updated}
    ema = None
    if state.ema is not None:
        # The average is of the variables after the update.
        ema = update_average(state.ema, params, collections, ema_decay, state.step)
    return state.replace(
        step=state.step + 1,
        params=params,
        collections=collections,
        opt_state=opt_state,
        ema=ema,
    )


def _unless_overflown(state: TrainState, new: TrainState, gradients: Any) -> TrainState:
    """Returns the new state, or the old one where scaled gradients have overflown."""
    if state.loss_scale is None:
        return new
    finite = all_finite(gradients)
    # A skipped step is counted too: order and keys follow the number of steps.
    skipped = state.replace(step=state.step + 1)
    return choose(finite, new, skipped).replace(loss_scale=state.loss_scale.after(finite))
