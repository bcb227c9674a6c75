"""Exact evaluation: every example counts once, whatever the batch size."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import UInt8

from cnnjax import data
from cnnjax.training.plan import Plan
from cnnjax.training.step import eval_step

EVAL_BATCH = 512
PREDICT_BATCH = 128


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


def make_predictor(
    plan: Plan, batch_size: int = PREDICT_BATCH
) -> Callable[[dict[str, Any], UInt8[np.ndarray, "examples h w channels"]], np.ndarray]:
    """Returns a function from variables and stored images to class probabilities.

    The probabilities are float32 [examples, classes].
    """

    @jax.jit
    def probabilities(variables, images):
        inputs = plan.pipeline.preprocess(images)
        logits: Any = plan.model.apply(variables, inputs, train=False)
        return jax.nn.softmax(logits.astype(jnp.float32))

    def predict(variables: dict[str, Any], images: np.ndarray) -> np.ndarray:
        batches = data.evaluation_batches(len(images), min(batch_size, len(images)))
        parts = [probabilities(variables, images[positions]) for positions, _ in batches]
        return np.concatenate(jax.device_get(parts))[: len(images)]

    return predict


def format_metrics(split: str, step: int, metrics: dict[str, float]) -> str:
    """Returns the lines that say how good a network is on a split."""
    return "\n".join(
        (
            f"{split + ' accuracy':<22}{metrics['accuracy']:.2%}",
            f"{'top-5 error':<22}{metrics['top5_error']:.2%}",
            f"{'loss':<22}{metrics['loss']:.4f} nats",
            f"{'step':<22}{step}",
        )
    )
