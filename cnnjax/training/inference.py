"""A run read back from its folder: the trained network, ready to judge images."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int32, UInt8

from cnnjax import data
from cnnjax.training import run_folder
from cnnjax.training.checkpoints import Checkpoints
from cnnjax.training.errors import CheckpointError, ConfigError, RunFolderError
from cnnjax.training.evaluation import make_evaluator, make_predictor
from cnnjax.training.plan import Plan, make_plan


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
    """

    plan: Plan
    variables: dict[str, Any]
    step: int
    data_dir: str | None
    workdir: Path

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

    @cached_property
    def evaluated(self) -> data.Examples:
        """The examples that are evaluated."""
        return self.plan.load_eval(self.data_dir)

    @property
    def images(self) -> Any:
        """The images that are evaluated, as stored, uint8 [examples, height, width, channels].

        Those of a set too large for memory are decoded when they are indexed.
        """
        return self.evaluated.images

    @property
    def labels(self) -> Int32[np.ndarray, " examples"]:
        """Their labels."""
        return self.evaluated.labels

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

    def evaluate(self) -> dict[str, float]:
        """Returns `loss` (nats), `accuracy` and `top5_error` (shares of 1) on `images`."""
        return make_evaluator(self.plan, self.evaluated)(self.variables)


def load_run(
    workdir: str | Path, step: int | None = None, data_dir: str | None = None
) -> LoadedRun:
    """Reads a run back from its folder alone; nothing in the folder is changed.

    Args:
        workdir: the run's folder.
        step: which checkpoint; None means the newest that can be trusted.
        data_dir: TFDS data folder; None means TFDS's default.

    Raises:
        RunFolderError: the folder holds no run, or no checkpoint yet.
        CheckpointError: the checkpoint asked for does not exist or is damaged, or all are.
    """
    steps = () if step is None else (step,)
    return load_checkpoints(workdir, steps=steps, data_dir=data_dir)[0]


def load_checkpoints(
    workdir: str | Path,
    *,
    steps: Sequence[int] = (),
    last: int | None = None,
    data_dir: str | None = None,
) -> list[LoadedRun]:
    """Reads several checkpoints of a run; nothing in its folder is changed.

    Args:
        workdir: the run's folder.
        steps: which checkpoints; empty for the newest that can be trusted, or for `last`.
        last: the newest `last` of the checkpoints, where `steps` is empty.
        data_dir: TFDS data folder; None means TFDS's default.

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
    return [
        LoadedRun(plan, checkpoints.restore(step, like).eval_variables, step, data_dir, workdir)
        for step in steps
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
