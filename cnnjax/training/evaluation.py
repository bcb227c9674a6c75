"""Exact evaluation: every example counts once, whatever the batch size."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from cnnjax import data
from cnnjax.training.plan import Plan
from cnnjax.training.step import eval_step

EVAL_BATCH = 512


def make_evaluator(
    plan: Plan, arrays: data.ImageArrays, batch_size: int = EVAL_BATCH
) -> Callable[[dict[str, Any]], dict[str, float]]:
    """Returns a function from variables to the task's metrics over all the examples.

    It is compiled at its first call; the examples stay on the device between calls.
    """
    images, labels = jnp.asarray(arrays.images), jnp.asarray(arrays.labels)
    batches = data.evaluation_batches(len(arrays.labels), min(batch_size, len(arrays.labels)))

    @jax.jit
    def sums(variables, images, labels, positions, weights):
        batch = plan.pipeline.eval_batch(images, labels, positions, weights)
        return eval_step(variables, batch, model=plan.model, task=plan.task)

    def evaluate(variables: dict[str, Any]) -> dict[str, float]:
        parts = [sums(variables, images, labels, *batch) for batch in batches]
        return plan.task.metrics(jax.tree.map(lambda *values: sum(values), *jax.device_get(parts)))

    return evaluate


def format_metrics(split: str, step: int, metrics: dict[str, float]) -> str:
    """Returns the lines that say how good a network is on a split."""
    return "\n".join(
        (
            f"{split + ' accuracy':<16}{metrics['accuracy']:.2%}",
            f"{'top-5 error':<16}{metrics['top5_error']:.2%}",
            f"{'loss':<16}{metrics['loss']:.4f} nats",
            f"{'step':<16}{step}",
        )
    )
