"""Gradients of a batch's loss, of the whole batch at once or of parts that are added up."""

from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from cnnjax.tasks.base import Batch, Sums, Task
from cnnjax.tasks.values import Moment
from cnnjax.training.step.changes import add_changes, apply_mean, changes, sum_changes
from cnnjax.training.step.state import TrainState

Result = tuple[Any, Float[Array, ""], Sums, dict[str, Any]]


def batch_gradients(
    state: TrainState,
    batch: Batch,
    key: Key[Array, ""],
    *,
    model: linen.Module,
    task: Task,
    parts: int = 1,
    axis_name: str | None = None,
) -> Result:
    """Returns the gradients of the loss of a batch.

    With several parts, part p holds the examples p, p + parts, p + 2 parts, ..., so that a batch
    that is spread over devices stays spread. Every part is normalized by its own batch statistics
    and starts from the same running ones, which move by the mean of the changes. This is what one
    pass with batch statistics over groups (the parts) computes; without batch norm it is the
    gradient of the whole batch, since every part's loss is divided by the totals of the batch.

    Args:
        state: the state before the step. Where it has a loss scale, the loss is multiplied by it
            before the backward pass, and the gradients are divided by it after.
        batch: a pytree of arrays with examples along their first axis, as the task describes it.
        key: the step's key; each part and each device draws its own.
        model: the network.
        task: computes the loss.
        parts: number of parts; every stream's batch size is a multiple of it.
        axis_name: mapped axis (of `jax.pmap`) over which the batch is spread; gradients, sums and
            collections are then those of all its devices together.

    Returns:
        The gradients, the loss, the task's metric sums, and the updated collections.

    Raises:
        ValueError: the batch cannot be cut into that many equal parts.
    """
    totals = task.totals(batch)
    if axis_name is not None:
        # Every loss is divided by the totals of the whole batch, so that gradients of devices add
        # up.
        totals = jax.lax.psum(totals, axis_name)
        # Devices must not drop the same units.
        key = jax.random.fold_in(key, jax.lax.axis_index(axis_name))
    scale = None if state.loss_scale is None else state.loss_scale.scale
    cut = (parts, axis_name)
    gradients_of = _part_gradients(state, totals, scale, model, task, cut)
    # A single pass has nothing to average: its collections are returned as they are, to the bit.
    if parts == 1 and axis_name is None:
        gradients, loss, sums, updated = gradients_of(batch, key)
    else:
        gradients, loss, sums, updated = _joined(
            gradients_of, batch, key, state.collections, parts, axis_name
        )
    if scale is not None:
        # The scale is a power of two: dividing by it does not round.
        gradients = jax.tree.map(lambda g: g / scale.astype(g.dtype), gradients)
    return gradients, loss, sums, updated


def _part_gradients(
    state: TrainState,
    totals: Any,
    scale: Array | None,
    model: linen.Module,
    task: Task,
    cut: tuple[int, str | None],
) -> Callable[[Batch, Key[Array, ""]], Result]:
    """Returns a function from a part of the batch and its key to gradients of the scaled loss."""
    parts, axis_name = cut

    def gradients_of(part: Batch, key: Key[Array, ""]) -> Result:
        moment = Moment(
            key=key,
            train=True,
            step=state.step,
            totals=totals,
            averages=state.average_variables,
            state=state.task_state,
            axis_name=axis_name,
            parts=parts,
        )

        def share(params: Any) -> tuple[Array, tuple[Array, Sums, dict[str, Any]]]:
            variables = {"params": params, **state.collections}
            value, (sums, updated) = task.loss(model, variables, part, moment)
            return value if scale is None else value * scale, (value, sums, updated)

        gradients, (loss, sums, updated) = jax.grad(share, has_aux=True)(state.params)
        return gradients, loss, sums, dict(updated)

    return gradients_of


def _joined(
    gradients_of: Callable[..., Result],
    batch: Batch,
    key: Key[Array, ""],
    collections: Mapping[str, Any],
    parts: int,
    axis_name: str | None,
) -> Result:
    """Adds up the parts of a batch and the devices' shares of it."""

    def changes_of(part: Batch, key: Key[Array, ""]) -> Result:
        gradients, loss, sums, updated = gradients_of(part, key)
        before = {name: collections[name] for name in updated}
        return gradients, loss, sums, changes(before, updated)

    if parts == 1:
        gradients, loss, sums, changed = changes_of(batch, key)
    else:
        gradients, loss, sums, changed = _added_up(changes_of, batch, key, parts)
    count = parts
    if axis_name is not None:
        gradients, loss, sums = jax.lax.psum((gradients, loss, sums), axis_name)
        changed = sum_changes(changed, axis_name)
        count *= jax.lax.axis_size(axis_name)
    before = {name: collections[name] for name in changed}
    return gradients, loss, sums, apply_mean(before, changed, count)


def _added_up(changes_of: Any, batch: Batch, key: Key[Array, ""], parts: int) -> Result:
    """Runs the parts one after another, so that the activations of one at a time are in memory."""
    check_parts(batch, parts)

    def cut(values: Array) -> Array:
        size = len(values)
        return jnp.swapaxes(values.reshape(size // parts, parts, *values.shape[1:]), 0, 1)

    def add(total: Result, numbered: tuple[Batch, Array]) -> tuple[Result, None]:
        part, number = numbered
        *sums, changed = changes_of(part, jax.random.fold_in(key, number))
        added = jax.tree.map(jnp.add, total[:3], tuple(sums))
        return (*added, add_changes(total[3], changed)), None

    # Parts are interleaved: each has examples of all devices, so that none are moved.
    cut_batch = jax.tree.map(cut, batch)
    first = jax.tree.map(lambda values: values[0], cut_batch)
    # The scan adds to zeros, whose shapes are found without computing.
    shapes = jax.eval_shape(changes_of, first, key)
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    total, _ = jax.lax.scan(add, zeros, (cut_batch, jnp.arange(parts)))
    return total


def check_parts(batch: Mapping[str, Any], parts: int) -> None:
    """Refuses a batch that cannot be cut into equal parts.

    Args:
        batch: a pytree of arrays with examples along their first axis.
        parts: number of parts.

    Raises:
        ValueError: a size is not a multiple of it; the message names both and a fix.
    """
    for size in sorted({len(leaf) for leaf in jax.tree.leaves(batch)}):
        if size % parts:
            raise ValueError(
                f"accumulate: a batch of {size} cannot be cut into {parts} equal parts; choose a "
                f"divisor of {size}"
            )
