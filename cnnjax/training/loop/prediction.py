"""Predictions for stored images, batch by batch."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import flax.linen as linen
import jax
import numpy as np
from jaxtyping import Shaped

from cnnjax import compiler, data, nn, ops
from cnnjax.tasks.base import Task

PREDICT_BATCH = 128
"""Images predicted at once, where nothing else is given."""

MANY = 32
"""Images of a batch from which on compiling a faster program is worth it."""

_IN_FLIGHT = 3
"""Batches that may be under way at once: more would fill the device with images."""

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
        A function that returns the predictions of `Task.predict` as NumPy arrays [examples, ...].
    """

    @compile_prediction
    def batch_predictions(variables: Mapping[str, Any], images: Any) -> Any:
        inputs = preprocess.images(images)
        return task.predict(nn.apply_network(model, variables, inputs, train=False))

    def predict(variables: Mapping[str, Any], images: Images) -> Any:
        return predict_all(lambda batch: batch_predictions(variables, batch), images, batch_size)

    return predict


def compile_prediction(predict: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Compiles a prediction, for few and for many images at once.

    Args:
        predict: from variables and stored images to predictions, without gradients.
    """
    few, many = compiler.jit(predict), ops.jit(predict)
    # The faster program cannot be stored: for a few photographs, compiling it takes longer.
    return lambda variables, images: (many if len(images) >= MANY else few)(variables, images)


def predict_all(
    predict: Callable[[Any], Any], images: Images, batch_size: int = PREDICT_BATCH
) -> Any:
    """Returns predictions of all images by a function that takes batches of one size.

    Args:
        predict: from stored images [batch, h, w, channels] to predictions [batch, ...].
        images: as stored; those that are not in memory are read where they are indexed.
        batch_size: examples at once.
    """
    # All batches have one size, so that the network is compiled once.
    batches = data.evaluation_batches(len(images), min(batch_size, len(images)))
    parts = list(paced(predict(images[positions]) for positions, _ in batches))
    # The last batch is filled up to the size of the others; its padding is cut off here.
    return jax.tree.map(lambda *leaves: np.concatenate(leaves)[: len(images)], *parts)


def paced(results: Iterable[Any]) -> Iterator[Any]:
    """Fetches results in order, a few behind the device.

    So the device always has a next batch, and never holds many results.

    Args:
        results: pytrees of arrays, each started when it is taken from the iterable.

    Yields:
        Each result in the host's memory.
    """
    pending: deque[Any] = deque()
    for result in results:
        pending.append(result)
        if len(pending) > _IN_FLIGHT:
            yield jax.device_get(pending.popleft())
    while pending:
        yield jax.device_get(pending.popleft())
