"""What a network predicts of stored images, batch by batch."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import flax.linen as linen
import jax
import numpy as np
from jaxtyping import Shaped

from cnnjax import compiler, data, nn
from cnnjax.tasks.base import Task

PREDICT_BATCH = 128

_IN_FLIGHT = 3
"""Batches that may be on their way at once: more would fill the device with images."""

Images = Shaped[np.ndarray, "examples h w channels"]


def make_predictor(
    model: linen.Module, task: Task, preprocess: data.Preprocess, batch_size: int = PREDICT_BATCH
) -> Callable[[Mapping[str, Any], Images], Any]:
    """Returns a function from variables and stored images to the task's predictions.

    Args:
        model: the network.
        task: turns its outputs into predictions.
        preprocess: from stored images to network inputs.
        batch_size: examples at once.

    Returns:
        A function whose result is what `Task.predict` gives, as NumPy arrays [examples, ...].
    """

    @compiler.jit
    def batch_predictions(variables: Mapping[str, Any], images: Any) -> Any:
        inputs = preprocess.images(images)
        return task.predict(nn.apply_network(model, variables, inputs, train=False))

    def predict(variables: Mapping[str, Any], images: Images) -> Any:
        return predict_all(lambda batch: batch_predictions(variables, batch), images, batch_size)

    return predict


def predict_all(
    predict: Callable[[Any], Any], images: Images, batch_size: int = PREDICT_BATCH
) -> Any:
    """Returns predictions of all images by a function that takes batches of one size.

    Args:
        predict: from stored images [batch, h, w, channels] to predictions [batch, ...].
        images: as stored; what is not in memory is read where it is indexed.
        batch_size: examples at once.
    """
    batches = data.evaluation_batches(len(images), min(batch_size, len(images)))
    parts = list(paced(predict(images[positions]) for positions, _ in batches))
    return jax.tree.map(lambda *leaves: np.concatenate(leaves)[: len(images)], *parts)


def paced(results: Iterable[Any]) -> Iterator[Any]:
    """Fetches results in order, a few behind the device, which so neither waits nor runs full."""
    pending: deque[Any] = deque()
    for result in results:
        pending.append(result)
        if len(pending) > _IN_FLIGHT:
            yield jax.device_get(pending.popleft())
    while pending:
        yield jax.device_get(pending.popleft())
