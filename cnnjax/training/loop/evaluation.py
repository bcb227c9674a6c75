"""Exact evaluation: every example counts once, whatever the batch size and number of devices."""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import jax
import numpy as np
from jaxtyping import UInt8

from cnnjax import data
from cnnjax.inference.views import WHOLE_IMAGE, Views
from cnnjax.recipes.plan import Plan
from cnnjax.tasks.classification import Batch
from cnnjax.training.devices.mesh import Parallel
from cnnjax.training.devices.placement import Placement, make_placement
from cnnjax.training.step.step import eval_step

EVAL_BATCH = 512
PREDICT_BATCH = 128

_IN_FLIGHT = 3
"""Batches that may be on their way at once: more would fill the device with images."""

_logger = logging.getLogger(__name__)

Sums = Mapping[str, Any]


def make_evaluator(
    plan: Plan,
    examples: data.Examples,
    batch_size: int = EVAL_BATCH,
    *,
    placement: Placement | None = None,
    inputs: data.ReadOptions | None = None,
) -> Callable[[dict[str, Any]], dict[str, float]]:
    """Returns a function from variables to the task's metrics over all the examples.

    It is compiled at its first call.

    Args:
        plan: the run.
        examples: what is evaluated, the same in all processes.
        batch_size: examples judged at once, on all devices together.
        placement: where the variables lie, and who shares each batch; None for one device.
        inputs: how images are read that are not in memory.
    """
    placement = placement or one_device()

    def batch_sums(variables: dict[str, Any], batch: Batch) -> Sums:
        images = plan.pipeline.preprocess.images(batch["image"])
        return eval_step(variables, {**batch, "image": images}, model=plan.model, task=plan.task)

    compiled = placement.compile_sums(batch_sums)

    def evaluate(variables: dict[str, Any]) -> dict[str, float]:
        batches = placed_batches(examples, batch_size, placement, inputs)
        return plan.task.metrics(add_up(compiled(variables, batch) for batch in batches))

    return evaluate


def make_judge(plan: Plan, views: Views) -> Callable[[dict[str, Any], Any], jax.Array]:
    """Returns a compiled function from variables and stored images to log-probabilities.

    Args:
        plan: the run that gives the network and its preprocessing.
        views: what the network is shown of each image.

    Raises:
        ConfigError: the network cannot be shown these views.
    """
    preprocess = plan.pipeline.preprocess
    views.check(plan.image_shape, preprocess.pad)

    @jax.jit
    def judge(variables: dict[str, Any], images: Any) -> jax.Array:
        size = plan.image_shape[0]
        return views.log_probabilities(plan.model, variables, preprocess, images, size)

    return judge


def make_predictor(
    plan: Plan, batch_size: int = PREDICT_BATCH
) -> Callable[[dict[str, Any], UInt8[np.ndarray, "examples h w channels"]], np.ndarray]:
    """Returns a function from variables and stored images to class probabilities.

    The probabilities are float32 [examples, classes].
    """
    judge = make_judge(plan, WHOLE_IMAGE)

    def predict(variables: dict[str, Any], images: np.ndarray) -> np.ndarray:
        return probabilities(lambda batch: judge(variables, batch), images, batch_size)

    return predict


def probabilities(
    judge: Callable[[UInt8[np.ndarray, "batch h w channels"]], jax.Array],
    images: UInt8[np.ndarray, "examples h w channels"],
    batch_size: int = PREDICT_BATCH,
) -> np.ndarray:
    """Returns class probabilities, float32 [examples, classes], by a function that judges a batch.

    Args:
        judge: gives log-probabilities [batch, classes]; it always sees batches of one size.
        images: as stored.
        batch_size: examples judged at once.
    """
    batches = data.evaluation_batches(len(images), min(batch_size, len(images)))
    parts = _paced(judge(images[positions]) for positions, _ in batches)
    return np.exp(np.concatenate(list(parts)))[: len(images)]


def placed_batches(
    examples: data.Examples,
    batch_size: int,
    placement: Placement,
    inputs: data.ReadOptions | None = None,
) -> Iterator[Batch]:
    """Cuts examples into batches of one size, in which each counts once, and puts them on devices.

    Args:
        examples: the same in all processes.
        batch_size: examples in a batch, on all devices; rounded up to what they share evenly.
        placement: the devices.
        inputs: how images are read that are not in memory; an image that cannot be read is told
            and does not count.

    Yields:
        `image` as stored, `label` and `weight`, which is 0 for what fills up the last batch.

    Raises:
        DamagedImages: too many images cannot be read.
    """
    size = placement.round_up(min(batch_size, len(examples)))
    for rows in _host_batches(examples, size, inputs or data.ReadOptions()):
        yield placement.put_batch({name: rows[name] for name in ("image", "label", "weight")})


def _host_batches(
    examples: data.Examples, size: int, inputs: data.ReadOptions
) -> Iterator[Mapping[str, np.ndarray]]:
    """Yields this process's rows of each batch."""
    processes, process = jax.process_count(), jax.process_index()
    count = len(examples)
    if examples.arrays is not None:
        rows = slice(process * size // processes, (process + 1) * size // processes)
        for positions, weights in data.evaluation_batches(count, size):
            own = positions[rows]
            yield {
                **examples.take(own),
                "weight": weights[rows],
            }
        return
    reader = data.Reader(
        examples,
        data.EvaluationOrder(count, size),
        process_index=process,
        process_count=processes,
        workers=inputs.workers,
        max_damaged=inputs.max_damaged,
    )
    yield from reader.batches()
    if reader.damaged:
        _logger.warning("%d images could not be read and do not count", len(reader.damaged))


def one_device() -> Placement:
    """Returns the placement on the first device alone."""
    return make_placement(Parallel(), {}, batch_size=1)


def add_up(parts: Iterable[Sums]) -> dict[str, np.ndarray]:
    """Returns the totals of sums that are still being computed, in float64.

    Raises:
        ValueError: there are none.
    """
    total: dict[str, np.ndarray] = {}
    for part in _paced(parts):
        for name, values in part.items():
            total[name] = total.get(name, 0) + np.asarray(values, np.float64)
    if not total:
        raise ValueError("evaluation: there are no examples")
    return total


def _paced(results: Iterable[Any]) -> Iterator[Any]:
    """Fetches results in order, a few behind the device, which so neither waits nor runs full."""
    pending: deque[Any] = deque()
    for result in results:
        pending.append(result)
        if len(pending) > _IN_FLIGHT:
            yield jax.device_get(pending.popleft())
    while pending:
        yield jax.device_get(pending.popleft())


def format_metrics(split: str, step: int, metrics: Mapping[str, float], loss_unit: str = "") -> str:
    """Returns the lines that say how good a network is on a split.

    Args:
        split: what was evaluated.
        step: steps done.
        metrics: `loss`, `accuracy` and `top5_error` (shares of 1).
        loss_unit: what the loss is measured in, as the task says; "" where it is a plain number.
    """
    return "\n".join(
        (
            f"{split + ' accuracy':<22}{metrics['accuracy']:.2%}",
            f"{'top-5 error':<22}{metrics['top5_error']:.2%}",
            f"{'loss':<22}{metrics['loss']:.4f} {loss_unit}".rstrip(),
            f"{'step':<22}{step}",
        )
    )
