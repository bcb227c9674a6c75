"""A run read back from its folder: the trained network, ready to judge images."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int32, UInt8

from cnnjax import data
from cnnjax.inference.views import WHOLE_IMAGE
from cnnjax.recipes.plan import Plan, make_plan
from cnnjax.tasks.classification import Classification
from cnnjax.tasks.sections import Evaluated
from cnnjax.training.errors import CheckpointError, ConfigError, RunFolderError
from cnnjax.training.folder import run_folder
from cnnjax.training.folder.checkpoints import Checkpoints
from cnnjax.training.loop.evaluation import (
    PREDICT_BATCH,
    make_evaluator,
    make_judge,
    make_predictor,
)


@dataclass(frozen=True)
class LoadedRun:
    """A trained network with what belongs to it.

    Attributes:
        plan: the run as configured.
        variables: the checkpoint's parameters and other collections: their moving averages, where
            the run keeps them.
        step: the checkpoint's step.
        data_dir: TFDS data folder, None for TFDS's default.
        workdir: the run's folder.
        inputs: how images are read that are not in memory.
    """

    plan: Plan
    variables: dict[str, Any]
    step: int
    data_dir: str | None
    workdir: Path
    inputs: data.Inputs = field(default_factory=data.Inputs)

    @property
    def config(self) -> dict[str, Any]:
        """The configuration as nested dictionaries."""
        return self.plan.config.model_dump()

    @property
    def model(self) -> Any:
        """The network."""
        return self.plan.model

    @property
    def class_names(self) -> tuple[str, ...]:
        """A name for each label."""
        return self.plan.dataset.class_names

    @property
    def task(self) -> Classification:
        """What the network was trained for."""
        return self.plan.task

    @property
    def title(self) -> tuple[str, str]:
        """The names of the model and of the dataset."""
        return self.plan.config.model.name, self.plan.config.data.name

    @cached_property
    def examples(self) -> data.Examples:
        """The examples that are evaluated."""
        return self.plan.load_eval(self.data_dir, self.inputs.resident)

    @property
    def images(self) -> Any:
        """The images that are evaluated, as stored, uint8 [examples, height, width, channels].

        Those of a set too large for memory are decoded when they are indexed.
        """
        return self.examples.images

    @property
    def labels(self) -> Int32[np.ndarray, " examples"]:
        """Their labels."""
        return self.examples.labels

    def preprocess(
        self, images: UInt8[np.ndarray, "batch h w channels"]
    ) -> Float[Array, "batch height width channels"]:
        """Returns network inputs, float32, for stored images."""
        return self.plan.pipeline.preprocess(jnp.asarray(images))

    def predict(
        self, images: UInt8[np.ndarray, "examples h w channels"]
    ) -> Float[np.ndarray, "examples classes"]:
        """Returns class probabilities, float32, for stored images of the dataset's size."""
        return self._predictor(self.variables, images)

    @cached_property
    def _predictor(self) -> Any:
        return make_predictor(self.plan)

    def evaluated(self) -> Evaluated:
        """Returns the evaluated examples that can be read, and each one's log-probabilities.

        Images that are not in memory are decoded ahead by `inputs.workers`, and not kept.

        Raises:
            DamagedImages: too many images cannot be read.
        """
        examples = self.examples
        # By this process alone, also where others train beside it.
        judge, predictions, weights = make_judge(self.plan, WHOLE_IMAGE), [], []
        for images, batch_weights in self._batches(examples):
            predictions.append(np.asarray(judge(self.variables, images)))
            weights.append(batch_weights)
        # What fills up the last batch has no weight, like an image that cannot be read.
        kept = np.flatnonzero(np.concatenate(weights))
        log_probabilities = np.concatenate(predictions)[kept]
        chosen = examples
        if not isinstance(examples, data.ImageArrays) and len(kept) < len(examples.labels):
            chosen = examples.take(kept)
        return Evaluated(
            predictions=log_probabilities,
            parts={"label": np.asarray(chosen.labels)},
            images=chosen.images,
            positions=kept,
            split=self.plan.eval_split,
        )

    def _batches(self, examples: data.Examples) -> Iterator[tuple[Any, np.ndarray]]:
        """Yields images and weights of batches of one size."""
        count = len(examples.labels)
        size = min(PREDICT_BATCH, count)
        if isinstance(examples, data.ImageArrays):
            for positions, weights in data.evaluation_batches(count, size):
                yield examples.images[positions], weights
            return
        stream = data.Stream(
            examples,
            data.EvaluationOrder(count, size),
            workers=self.inputs.workers,
            max_damaged=self.inputs.max_damaged,
        )
        for batch in stream.batches():
            yield batch["image"], batch["weight"]

    def evaluate(self) -> dict[str, float]:
        """Returns `loss`, `accuracy` and `top5_error` (shares of 1) on `images`."""
        evaluate = make_evaluator(self.plan, self.examples, inputs=self.inputs)
        return evaluate(self.variables)


def load_run(
    workdir: str | Path,
    step: int | None = None,
    data_dir: str | None = None,
    inputs: data.Inputs = data.Inputs(),  # noqa: B008 (it cannot be changed)
) -> LoadedRun:
    """Reads a run back from its folder alone; nothing in the folder is changed.

    Args:
        workdir: the run's folder.
        step: which checkpoint; None means the newest that can be trusted.
        data_dir: TFDS data folder; None means TFDS's default.
        inputs: how images are read that are not in memory.

    Raises:
        RunFolderError: the folder holds no run, or no checkpoint yet.
        CheckpointError: the checkpoint asked for does not exist or is damaged, or all are.
    """
    steps = () if step is None else (step,)
    return load_checkpoints(workdir, steps=steps, data_dir=data_dir, inputs=inputs)[0]


def load_checkpoints(
    workdir: str | Path,
    *,
    steps: Sequence[int] = (),
    last: int | None = None,
    data_dir: str | None = None,
    inputs: data.Inputs = data.Inputs(),  # noqa: B008 (it cannot be changed)
) -> list[LoadedRun]:
    """Reads several checkpoints of a run; nothing in its folder is changed.

    Args:
        workdir: the run's folder.
        steps: which checkpoints; empty for the newest that can be trusted, or for `last`.
        last: the newest `last` of the checkpoints, where `steps` is empty.
        data_dir: TFDS data folder; None means TFDS's default.
        inputs: how images are read that are not in memory.

    Returns:
        One network for each checkpoint, all of one plan, in the order of `steps`.

    Raises:
        ConfigError: `last` is less than 1.
        RunFolderError: the folder holds no run, or no checkpoint yet.
        CheckpointError: a checkpoint asked for does not exist or is damaged, or all are.
    """
    workdir = Path(workdir)
    plan = make_plan(run_folder.read_config(workdir), data_dir=data_dir)
    checkpoints = Checkpoints(workdir / run_folder.CHECKPOINTS)
    if not steps:
        steps = _newest(workdir, checkpoints) if last is None else _last(workdir, checkpoints, last)
    for step in steps:
        if step not in checkpoints.steps():
            raise CheckpointError(
                f"step: {workdir} has no checkpoint of step {step}; it has {checkpoints.steps()}"
            )
        if problem := checkpoints.problem(step):
            raise CheckpointError(f"step: the checkpoint of step {step} is damaged: {problem}")
    like = jax.eval_shape(plan.init_state)
    restored = [checkpoints.restore(step, like).eval_variables for step in steps]
    return [
        LoadedRun(plan, variables, step, data_dir, workdir, inputs)
        for step, variables in zip(steps, restored, strict=True)
    ]


def _newest(workdir: Path, checkpoints: Checkpoints) -> list[int]:
    step = checkpoints.newest_verified(move_damaged=False)
    if step is None:
        raise RunFolderError(f"workdir: {workdir} has no checkpoint yet; train it further")
    return [step]


def _last(workdir: Path, checkpoints: Checkpoints, count: int) -> list[int]:
    if count < 1:
        raise ConfigError(f"last: {count} checkpoints were asked for; give 1 or more")
    found = checkpoints.steps()
    if len(found) < count:
        raise CheckpointError(
            f"last: {workdir} has {len(found)} checkpoints, {count} were asked for: {found}"
        )
    return found[-count:]
