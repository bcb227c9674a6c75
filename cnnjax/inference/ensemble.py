"""Trained networks whose predictions are joined, and those for several views of each image."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, UInt8

from cnnjax import compiler, data
from cnnjax.inference.agreement import check_agreement
from cnnjax.inference.images import ImageForm
from cnnjax.inference.load import load_checkpoints
from cnnjax.inference.network import Network
from cnnjax.inference.views import WHOLE_IMAGE, Views, combined
from cnnjax.tasks.base import Task
from cnnjax.tasks.values import Evaluation
from cnnjax.training.devices.placement import Placement
from cnnjax.training.errors import ConfigError
from cnnjax.training.loop.evaluation import (
    EVAL_BATCH,
    add_up,
    all_devices,
    make_evaluator,
    placed_batches,
    with_count,
    without_count,
)
from cnnjax.training.loop.prediction import PREDICT_BATCH, compile_prediction, predict_all
from cnnjax.training.run import Run

Images = UInt8[Array, "batch h w channels"] | UInt8[np.ndarray, "batch h w channels"]


@dataclass(frozen=True)
class Ensemble:
    """Trained networks whose predictions are joined, over members and views alike.

    Attributes:
        members: one network or more, of one task and one dataset.
        views: the views of an image for which each of them predicts.
        average: how predictions are joined: "task" as the task does it (a classification averages
            probabilities), or a further way of the task's (`Task.averages`): "logits".

    Raises:
        ConfigError: there are no members; their tasks, datasets or held-out examples differ;
            predictions cannot be joined; or the views do not fit one of the members.

    Source: Krizhevsky et al. 2012, section 4.1 (views) and table 2 (networks).
    """

    members: Sequence[Network]
    views: Views = WHOLE_IMAGE
    average: str = "task"

    def __post_init__(self) -> None:
        """Refuses members whose predictions cannot be joined."""
        if not self.members:
            raise ConfigError("members: none were given; give one network or more")
        first = self.members[0]
        for member in self.members[1:]:
            check_agreement(first, member)
        for member in self.members:
            self.views.check(member.image_shape, member.preprocess.pad)
        if not self.is_plain and not self.task.combines:
            raise ConfigError(
                f"{type(self.task).__name__}: its predictions cannot be joined; give one network "
                "and one checkpoint, and leave crops, scales and flip out"
            )
        known = ("task", *self.task.averages)
        if self.average not in known:
            raise ConfigError(
                f"average: {self.average!r} was given; {type(self.task).__name__} has "
                f"{', '.join(known)}"
            )
        framings = [member.form.framing for member in self.members]
        parts = {f"{f.crop} of {f.short_side} pixels" for f in framings if f is not None}
        if self.views.crops == "whole" and len(parts) > 1:
            raise ConfigError(
                "workdir: the networks see other parts of a photograph, "
                f"{' and '.join(sorted(parts))}; give crops=center, ten or dense"
            )

    @property
    def task(self) -> Task:
        """The task of all members."""
        return self.members[0].task

    @property
    def split(self) -> str:
        """Name of the evaluated split: "test", or "validation" where examples are held out."""
        return self.members[0].split

    @property
    def is_plain(self) -> bool:
        """Whether there is one network, and the whole image is its only view."""
        return len(self.members) == 1 and self.views == WHOLE_IMAGE

    def describe(self) -> list[dict[str, Any]]:
        """Returns where each member comes from, as JSON values."""
        return [
            {"origin": member.origin, "model": member.title[0], "step": member.step}
            for member in self.members
        ]

    @cached_property
    def _predictors(self) -> list[Callable[[Any, Any], Any]]:
        """A compiled function for each member."""
        # Checkpoints of one run have one model, whose function is compiled once.
        made: dict[int, Any] = {}
        for member in self.members:
            if id(member.model) not in made:
                made[id(member.model)] = _predictor(member, self.views, self.average)
        return [made[id(member.model)] for member in self.members]

    @cached_property
    def _join(self) -> Callable[[list[Any]], Any]:
        task, average = self.task, self.average

        @compiler.jit
        def join(predictions: list[Any]) -> Any:
            stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *predictions)
            return combined(task, stacked, average)

        return join

    def batch_predictions(
        self, images: Images, variables: Sequence[Mapping[str, Any]] | None = None
    ) -> Any:
        """Returns the joined predictions [batch, ...] for images of the dataset's size.

        Args:
            images: as stored.
            variables: copies of the members' variables, such as ones placed on several devices;
                None for the members' own.
        """
        if variables is None:
            variables = [member.variables for member in self.members]
        return self._join(
            [predict(v, images) for predict, v in zip(self._predictors, variables, strict=True)]
        )

    def predict(
        self, images: UInt8[np.ndarray, "examples h w channels"], batch_size: int = PREDICT_BATCH
    ) -> Any:
        """Returns the joined predictions [examples, ...], NumPy arrays; see `Task.predict`.

        Args:
            images: as stored.
            batch_size: images in a batch.
        """
        return predict_all(self.batch_predictions, images, batch_size)

    @cached_property
    def form(self) -> ImageForm:
        """The form of the members' images before the views are cut from them."""
        form = self.members[0].form
        if form.framing is None or self.views.crops == "whole":
            return form
        # Photographs: the central square, as large as the largest view.
        sides = [
            side - 2 * member.preprocess.pad
            for member in self.members
            for side in self.views.sides(member.image_shape[0])
        ]
        return ImageForm((max(sides), max(sides), 3), data.Framing(max(sides), max(sides)))

    @cached_property
    def examples(self) -> data.Examples:
        """The examples that the members' runs evaluate, in the form that the views need.

        Raises:
            ConfigError: there are none.
        """
        first = self.members[0]
        if first.load_examples is None:
            return first.examples  # raises, and names what is missing
        return first.load_examples(self.form.framing)

    def assess(
        self, batch_size: int = EVAL_BATCH, placement: Placement | None = None
    ) -> Evaluation:
        """Evaluates on the split that the members' runs evaluate, each image once.

        Args:
            batch_size: examples in a batch, on all devices together.
            placement: devices that share each batch; None for all devices.

        Raises:
            DamagedImages: too many images, or all, cannot be read.
        """
        placement = placement or all_devices()
        first, task = self.members[0], self.task
        # There are no sums of predictions: the task's own metrics are the figures.
        if not task.combines:
            evaluate = make_evaluator(
                first.model,
                task,
                first.preprocess,
                self.examples,
                batch_size,
                placement=placement,
                read=first.read,
            )
            metrics = evaluate(placement.replicate(first.variables), first.task_state)
            lines = [*task.lines(self.split, metrics), ("examples", f"{len(self.examples):,}")]
            return Evaluation(metrics, lines, dict(metrics))
        # Copied to the devices once, not with every batch.
        variables = [placement.replicate(member.variables) for member in self.members]
        batch_sums = placement.compile_sums(
            lambda predictions, batch: with_count(task.prediction_sums(predictions, batch), batch)
        )

        def sums() -> Iterator[Any]:
            for batch in placed_batches(self.examples, batch_size, placement, first.read):
                predictions = self.batch_predictions(batch["image"], variables)
                yield batch_sums(predictions, batch), {}

        total = without_count(add_up(sums())[0], len(self.examples))
        return _named(task.assess(total), self.split)


def _named(evaluation: Evaluation, split: str) -> Evaluation:
    """Returns the evaluation with the split's name in its first line."""
    (name, text), *others = evaluation.lines
    return replace(evaluation, lines=[(f"{split} {name}", text), *others])


def _predictor(member: Network, views: Views, average: str) -> Callable[[Any, Any], Any]:
    size = member.image_shape[0]

    @compile_prediction
    def predict(variables: Any, images: Any) -> Any:
        return views.predictions(
            member.model, variables, member.task, member.preprocess, images, size, average
        )

    return predict


def load_ensemble(
    workdirs: Sequence[str | Path],
    *,
    steps: Sequence[int] = (),
    last: int | None = None,
    views: Views = WHOLE_IMAGE,
    average: str = "task",
    run: Run | str | None = None,
    data_dir: str | None = None,
    read: data.ReadOptions = data.ReadOptions(),  # noqa: B008 (it cannot be changed)
) -> Ensemble:
    """Reads networks back from the folders of one run or several.

    Args:
        workdirs: the runs' folders.
        steps: the checkpoints of each run that take part; empty for the newest one, or for `last`.
        last: take the newest `last` checkpoints of each run.
        views: the views of an image; by default the whole image.
        average: how predictions are joined; see `Ensemble`.
        run: the run, where it was made in Python; see `load`.
        data_dir: TFDS data folder; None means TFDS's default.
        read: how the images that are evaluated are read.

    Raises:
        ConfigError: the networks' predictions cannot be joined, or arguments exclude each other.
        RunFolderError: a folder holds no run, or no checkpoint yet.
        CheckpointError: a checkpoint of `steps` or `last` does not exist or is damaged.
    """
    if steps and last is not None:
        raise ConfigError(f"steps {list(steps)} and last {last} were both given; give one")
    folders = [Path(workdir) for workdir in workdirs]
    if not folders:
        raise ConfigError("workdir: none was given; name the folder of a run, or of several")
    for name, values in (("workdir", [f.resolve() for f in folders]), ("steps", list(steps))):
        if len(set(values)) < len(values):
            raise ConfigError(f"{name}: given twice among {', '.join(map(str, values))}")
    load = partial(load_checkpoints, steps=steps, last=last, run=run, data_dir=data_dir, read=read)
    members = [member for folder in folders for member in load(folder)]
    return Ensemble(tuple(members), views, average)
