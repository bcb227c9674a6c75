"""One step of training and one of evaluation, as pure functions."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from jaxtyping import Array, Key

from cnnjax.tasks.classification import Batch, Classification, Sums
from cnnjax.training.step.ema import update_average
from cnnjax.training.step.gradients import batch_gradients
from cnnjax.training.step.loss_scaling import all_finite, choose
from cnnjax.training.step.state import TrainState


@dataclass(frozen=True)
class Recipe:
    """How a batch becomes a step, besides the loss and the optimiser.

    Attributes:
        accumulate: number of parts into which a batch is cut, one after another.
        ema_decay: decay of the moving averages; of effect where the state has them.
    """

    accumulate: int = 1
    ema_decay: float = 0.0


def train_step(
    state: TrainState,
    batch: Batch,
    key: Key[Array, ""],
    *,
    model: nn.Module,
    task: Classification,
    optimizer: optax.GradientTransformation,
    recipe: Recipe = Recipe(),
    axis_name: str | None = None,
) -> tuple[TrainState, Sums]:
    """Does one gradient step.

    Where the state has a loss scale, a step whose gradients are not finite changes nothing but the
    scale and the step's number.

    Args:
        state: the state before.
        batch: a pytree as the task describes it.
        key: the run's key; what a step draws from it depends on the step's number alone.
        model: the network.
        task: gives the loss.
        optimizer: gives the update; it is told the batch's mean loss as `value`.
        recipe: how the batch is taken.
        axis_name: mapped axis (of `jax.pmap`) over which the batch is spread, where there is one;
            the state after the step is then the same on all its devices.

    Returns:
        The state after, and the task's metric sums over the batch (before the update).

    Raises:
        ValueError: the batch cannot be cut as the recipe says.
    """
    gradients, sums, updated = batch_gradients(
        state.params,
        state.collections,
        batch,
        jax.random.fold_in(key, state.step),
        model=model,
        task=task,
        parts=recipe.accumulate,
        scale=None if state.loss_scale is None else state.loss_scale.scale,
        axis_name=axis_name,
    )
    updates, opt_state = optax.with_extra_args_support(optimizer).update(
        gradients,
        state.opt_state,
        state.params,
        value=sums["loss"] / jnp.maximum(sums["weight"], 1),
    )
    params = optax.apply_updates(state.params, updates)
    collections = {**state.collections, **updated}
    ema = None
    if state.ema is not None:
        ema = update_average(state.ema, params, collections, recipe.ema_decay, state.step)
    new = state.replace(
        step=state.step + 1, params=params, collections=collections, opt_state=opt_state, ema=ema
    )
    if state.loss_scale is not None:
        finite = all_finite(gradients)
        skipped = state.replace(step=state.step + 1)
        new = choose(finite, new, skipped).replace(loss_scale=state.loss_scale.after(finite))
    return new, sums


def eval_step(
    variables: dict[str, Any], batch: Batch, *, model: nn.Module, task: Classification
) -> Sums:
    """Returns the task's metric sums over a batch, with the network in evaluation mode."""
    # Nothing is random in evaluation: the key only fills its place.
    _, (sums, _) = task.loss(model, variables, batch, jax.random.key(0), train=False)
    return sums
