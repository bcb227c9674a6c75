"""A trained network with its task, its preprocessing and its examples, ready to predict."""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Shaped

from cnnjax import compiler, data, nn
from cnnjax.inference.images import ImageForm
from cnnjax.inference.stored_images import check_images
from cnnjax.tasks.base import Task
from cnnjax.tasks.sections import Evaluated
from cnnjax.training.errors import ConfigError
from cnnjax.training.loop.evaluation import (
    EVAL_BATCH,
    NothingToEvaluate,
    make_evaluator,
    nothing_readable,
)
from cnnjax.training.loop.prediction import PREDICT_BATCH, make_predictor
from cnnjax.training.step.batch import kinds_of

Images = Shaped[np.ndarray, "examples h w channels"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Network:
    """A trained network: from a run's folder, from a run in memory, or from a file of weights.

    Attributes:
        model: the Linen module.
        task: the task that it was trained for.
        variables: its parameters and other collections, or their moving averages where the run
            keeps them.
        task_state: the task's state.
        preprocess: from stored images to network inputs.
        form: the form of stored images, which image files get first.
        title: names of the network and of the data.
        origin: where it comes from, in words: a folder and a step, or a file.
        step: steps that it was trained for.
        split: name of the evaluated split: "test" or "validation".
        data_identity: JSON values that differ where the evaluated examples differ.
        load_examples: reads the evaluated examples; its argument frames them in another way. None
            where there are none.
        read: how examples are read that are not in memory.
        workdir: the run's folder; None where it comes from none.
        config: settings, as nested JSON values.
    """

    model: linen.Module
    task: Task
    variables: Mapping[str, Any]
    preprocess: data.Preprocess
    form: ImageForm
    title: tuple[str, str]
    origin: str
    task_state: Any = ()
    step: int = 0
    split: str = "test"
    data_identity: Any = None
    load_examples: Callable[[data.Framing | None], data.Examples] | None = None
    read: data.ReadOptions = field(default_factory=data.ReadOptions)
    workdir: Path | None = None
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of a network input."""
        height, width, channels = self.preprocess.image_shape(self.form.shape)
        return height, width, channels

    @cached_property
    def examples(self) -> data.Examples:
        """The examples that are evaluated.

        Raises:
            ConfigError: there are none.
        """
        if self.load_examples is None:
            raise ConfigError(
                f"{self.origin}: the network comes without examples; name some, such as "
                "--data=folder:PATH"
            )
        return self.load_examples(None)

    def inputs(self, images: Images) -> Float[Array, "examples in_height in_width channels"]:
        """Returns network inputs, float32, for stored images.

        Args:
            images: as the dataset stores them.

        Raises:
            DataError: they are no such images.
        """
        check_images(images, self.form.shape[-1])
        return self.preprocess.images(jnp.asarray(images))

    def outputs(self, images: Images) -> Any:
        """Returns the network's outputs for stored images, in evaluation mode.

        Args:
            images: as the dataset stores them.

        Raises:
            DataError: they are no such images.
        """
        check_images(images, self.form.shape[-1])
        return self._outputs(self.variables, images)

    @cached_property
    def _outputs(self) -> Callable[..., Any]:
        @compiler.jit
        def outputs(variables: Any, images: Any) -> Any:
            inputs = self.preprocess.images(images)
            return nn.apply_network(self.model, variables, inputs, train=False)

        return outputs

    def predict(self, images: Images) -> Any:
        """Returns the task's predictions [examples, ...], NumPy arrays, for stored images.

        Those of a classification are log-probabilities.

        Args:
            images: as the dataset stores them.

        Raises:
            DataError: they are no such images.
        """
        check_images(images, self.form.shape[-1])
        return self._predictor(self.variables, images)

    @cached_property
    def _predictor(self) -> Callable[..., Any]:
        return make_predictor(self.model, self.task, self.preprocess)

    def evaluate(self, batch_size: int = EVAL_BATCH) -> dict[str, float]:
        """Returns the task's metrics over the evaluated examples, each of which counts once.

        Args:
            batch_size: examples in a batch, on all devices together.

        Raises:
            DamagedImages: too many images, or all, cannot be read.
        """
        evaluate = make_evaluator(
            self.model, self.task, self.preprocess, self.examples, batch_size, read=self.read
        )
        return evaluate(self.variables, self.task_state)

    def evaluated(self) -> Evaluated:
        """Returns the evaluated examples that can be read, with the predictions for them.

        Images that are not in memory are decoded in advance by `read.workers`, and not kept.

        Raises:
            DamagedImages: too many images, or all, cannot be read.
        """
        examples = self.examples
        predictions, weights = [], []
        for images, batch_weights in self._batches(examples):
            predictions.append(self._predictor(self.variables, images))
            weights.append(batch_weights)
        # Weight 0: examples that fill up the last batch, and images that cannot be read.
        kept = np.flatnonzero(np.concatenate(weights))
        if not len(kept):
            raise NothingToEvaluate(nothing_readable(len(examples)))
        whole = jax.tree.map(lambda *leaves: np.concatenate(leaves)[kept], *predictions)
        chosen = examples if len(kept) == len(examples) else data.choose(examples, kept)
        return Evaluated(
            predictions=whole,
            parts={name: chosen.column(name) for name in chosen.spec if name != "image"},
            images=data.lazy_images(chosen),
            positions=kept,
            split=self.split,
            files=_files(chosen),
            framed=self.preprocess.framed(kinds_of(chosen)),
        )

    def _batches(self, examples: data.Examples) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields images and weights of batches of one size."""
        # One size, so that the network is compiled once.
        size = min(PREDICT_BATCH, len(examples))
        if examples.arrays is not None:
            for positions, weights in data.evaluation_batches(len(examples), size):
                yield examples.arrays["image"][positions], weights
            return
        # This process reads all of them, also where several processes train.
        reader = data.Reader(
            examples,
            data.EvaluationOrder(len(examples), size),
            workers=self.read.workers,
            max_damaged=self.read.max_damaged,
        )
        for batch in reader.batches():
            yield batch["image"], batch["weight"]


def _files(examples: data.Examples) -> list[str] | None:
    """Returns the paths of the examples' files; None where their names are no paths."""
    # Unlike pathlib's function, this one returns False for names that no file can have.
    if not os.path.isfile(examples.name(0)):
        return None
    return [examples.name(position) for position in range(len(examples))]
