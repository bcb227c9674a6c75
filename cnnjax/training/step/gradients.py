"""Gradients of a batch's mean loss, of the whole batch at once or of parts that are added up."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Key

from cnnjax.tasks.classification import Batch, Classification, Sums
from cnnjax.training.step.changes import add_changes, apply_mean, changes, sum_changes

Result = tuple[Any, Sums, dict[str, Any]]


def batch_gradients(
    params: Any,
    collections: dict[str, Any],
    batch: Batch,
    key: Key[Array, ""],
    *,
    model: nn.Module,
    task: Classification,
    parts: int = 1,
    scale: Float[Array, ""] | None = None,
    axis_name: str | None = None,
) -> Result:
    """Returns the gradients of the mean loss over the examples of a batch that count.

    With several parts, part p holds the examples p, p + parts, p + 2 parts, ..., so that a batch
    that is spread over devices stays spread. Every part is normalised by its own batch statistics
    and starts from the same running ones, which move by the mean of the changes. This is what one
    pass with batch statistics over groups (the parts) computes; without batch norm it is the
    gradient of the whole batch, since losses and weights are added up before they are divided.

    Args:
        params: the parameters.
        collections: the network's other collections.
        batch: a pytree as the task describes it.
        key: randomness of dropout; each part and each device draws its own.
        model: the network.
        task: gives the loss.
        parts: number of parts; the batch size is a multiple of it.
        scale: the loss is multiplied by it before the backward pass, and the gradients are divided
            by it after; None for 1.
        axis_name: mapped axis (of `jax.pmap`) over which the batch is spread; gradients, sums and
            collections are then those of all its devices together.

    Returns:
        The gradients, the task's metric sums, and the updated collections.

    Raises:
        ValueError: the batch cannot be cut into that many equal parts.
    """
    weight = batch["weight"].sum()
    if axis_name is not None:
        weight = jax.lax.psum(weight, axis_name)
        key = jax.random.fold_in(key, jax.lax.axis_index(axis_name))

    def gradients_of(part: Batch, key: Key[Array, ""]) -> Result:
        def share(params: Any) -> tuple[Array, tuple[Sums, dict[str, Any]]]:
            """Returns the part's share of the batch's loss."""
            _, (sums, updated) = task.loss(
                model, {"params": params, **collections}, part, key, train=True
            )
            mean = sums["loss"] / jnp.maximum(weight, 1).astype(sums["loss"].dtype)
            return mean if scale is None else mean * scale, (sums, updated)

        gradients, (sums, updated) = jax.grad(share, has_aux=True)(params)
        return gradients, sums, updated

    if parts == 1 and axis_name is None:
        gradients, sums, updated = gradients_of(batch, key)
    else:

        def changes_of(part: Batch, key: Key[Array, ""]) -> Result:
            gradients, sums, updated = gradients_of(part, key)
            return gradients, sums, changes({n: collections[n] for n in updated}, updated)

        if parts == 1:
            gradients, sums, changed = changes_of(batch, key)
        else:
            gradients, sums, changed = _added_up(changes_of, batch, key, parts)
        count = parts
        if axis_name is not None:
            gradients, sums = jax.lax.psum((gradients, sums), axis_name)
            changed = sum_changes(changed, axis_name)
            count *= jax.lax.axis_size(axis_name)
        updated = apply_mean({n: collections[n] for n in changed}, changed, count)
    if scale is not None:
        gradients = jax.tree.map(lambda g: g / scale.astype(g.dtype), gradients)
    return gradients, sums, updated


def _added_up(changes_of: Any, batch: Batch, key: Key[Array, ""], parts: int) -> Result:
    """Runs the parts one after another, so that the activations of one at a time are in memory."""
    size = len(batch["weight"])
    if size % parts:
        raise ValueError(
            f"optimizer.accumulate: a batch of {size} cannot be cut into {parts} equal parts; "
            f"choose a divisor of {size}"
        )

    def cut(values: Array) -> Array:
        return jnp.swapaxes(values.reshape(size // parts, parts, *values.shape[1:]), 0, 1)

    def add(total: Result, numbered: tuple[Batch, Array]) -> tuple[Result, None]:
        part, number = numbered
        *sums, changed = changes_of(part, jax.random.fold_in(key, number))
        added = jax.tree.map(jnp.add, total[:2], tuple(sums))
        return (*added, add_changes(total[2], changed)), None

    cut_batch = jax.tree.map(cut, batch)
    first = jax.tree.map(lambda values: values[0], cut_batch)
    shapes = jax.eval_shape(changes_of, first, key)
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    total, _ = jax.lax.scan(add, zeros, (cut_batch, jnp.arange(parts)))
    return total
