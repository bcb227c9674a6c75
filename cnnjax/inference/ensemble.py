"""Trained networks that judge images together, each image in several views."""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

from cnnjax import data
from cnnjax.inference.images import ImageForm
from cnnjax.inference.loaded_run import LoadedRun, load_checkpoints
from cnnjax.inference.views import WHOLE_IMAGE, Views, log_mean
from cnnjax.tasks.assessment import Assessment, assessment_sums
from cnnjax.training.devices.mesh import Parallel
from cnnjax.training.devices.placement import Placement, make_placement
from cnnjax.training.errors import ConfigError
from cnnjax.training.loop.evaluation import (
    EVAL_BATCH,
    PREDICT_BATCH,
    add_up,
    make_judge,
    placed_batches,
    probabilities,
)

Images = UInt8[Array, "batch h w channels"] | UInt8[np.ndarray, "batch h w channels"]


@dataclass(frozen=True)
class Ensemble:
    """Trained networks whose probabilities are averaged, over members and views alike.

    Attributes:
        members: one network or more, of one dataset.
        views: what each of them is shown of an image.

    Raises:
        ConfigError: the members' classes, their datasets or what they hold out differ, or one of
            them cannot be shown the views.

    Source: of averaging, Krizhevsky et al. 2012, section 4.1 (views) and table 2 (networks).
    """

    members: Sequence[LoadedRun]
    views: Views = WHOLE_IMAGE

    def __post_init__(self) -> None:
        """Makes sure that the members can judge together."""
        first = self.members[0]
        for member in self.members[1:]:
            _check_agreement(first, member)
        for member in self.members:
            self.views.check(member.plan.image_shape, member.plan.pipeline.preprocess.pad)
        framings = [member.plan.framing for member in self.members]
        parts = {f"{f.crop} of {f.short_side} pixels" for f in framings if f is not None}
        if self.views.crops == "whole" and len(parts) > 1:
            raise ConfigError(
                "workdir: the networks see other parts of a photograph, "
                f"{' and '.join(sorted(parts))}; give crops=center, ten or dense"
            )

    @property
    def class_names(self) -> tuple[str, ...]:
        """A name for each label."""
        return self.members[0].class_names

    @property
    def split(self) -> str:
        """Name of what `assess` evaluates: "test", or "validation" where examples are held out."""
        return self.members[0].plan.eval_split

    def describe(self) -> list[dict[str, Any]]:
        """Returns workdir, model and step of each member, as JSON values."""
        return [
            {"workdir": str(m.workdir), "model": m.plan.config.model.name, "step": m.step}
            for m in self.members
        ]

    @cached_property
    def _judges(self) -> list[Any]:
        """A compiled function for each member; checkpoints of one run share theirs."""
        made: dict[int, Any] = {}
        for member in self.members:
            if id(member.plan) not in made:
                made[id(member.plan)] = make_judge(member.plan, self.views)
        return [made[id(member.plan)] for member in self.members]

    def log_probabilities(
        self, images: Images, variables: Sequence[Any] | None = None
    ) -> Float[Array, "batch classes"]:
        """Returns the logarithm of the members' mean probabilities, float32.

        Args:
            images: as stored.
            variables: those of the members, where they lie elsewhere than in the members.
        """
        if variables is None:
            variables = [member.variables for member in self.members]
        opinions = [judge(v, images) for judge, v in zip(self._judges, variables, strict=True)]
        return _log_mean(opinions)

    def predict(
        self, images: UInt8[np.ndarray, "examples h w channels"], batch_size: int = PREDICT_BATCH
    ) -> Float[np.ndarray, "examples classes"]:
        """Returns class probabilities, float32, for stored images of the dataset's size."""
        return probabilities(self.log_probabilities, images, batch_size)

    @cached_property
    def form(self) -> ImageForm:
        """What the members' images are brought to before they are shown."""
        plan = self.members[0].plan
        if plan.framing is None or self.views.crops == "whole":
            return ImageForm(plan.stored_shape, plan.framing)
        # Photographs: the central square, as large as the largest view asks for.
        sides = [
            side - 2 * member.plan.pipeline.preprocess.pad
            for member in self.members
            for side in self.views.sides(member.plan.image_shape[0])
        ]
        return ImageForm((max(sides), max(sides), 3), data.Framing(max(sides), max(sides)))

    def assess(
        self, batch_size: int = EVAL_BATCH, placement: Placement | None = None
    ) -> Assessment:
        """Evaluates on the split that the members' runs evaluate, each image once.

        Args:
            batch_size: examples judged at once, on all devices together.
            placement: devices that share each batch; None for all there are.
        """
        placement = placement or all_devices()
        first = self.members[0]
        plan = dataclasses.replace(first.plan, framing=self.form.framing)
        examples = plan.load_eval(first.data_dir, first.inputs.resident)
        variables = [placement.replicate(member.variables) for member in self.members]
        batch_sums = placement.compile_sums(assessment_sums)

        def sums() -> Iterator[Any]:
            for batch in placed_batches(examples, batch_size, placement, first.inputs):
                answers = self.log_probabilities(batch["image"], variables)
                yield batch_sums(answers, batch["label"], batch["weight"])

        return Assessment.from_sums(add_up(sums()), self.class_names)


def all_devices() -> Placement:
    """Returns the placement that spreads batches over all devices."""
    return make_placement(Parallel("jit"), {}, batch_size=jax.device_count())


@jax.jit
def _log_mean(opinions: list[Float[Array, "batch classes"]]) -> Float[Array, "batch classes"]:
    return log_mean(jnp.stack(opinions))


def load_ensemble(
    workdirs: Sequence[str | Path],
    *,
    steps: Sequence[int] = (),
    last: int | None = None,
    views: Views = WHOLE_IMAGE,
    data_dir: str | None = None,
    inputs: data.ReadOptions = data.ReadOptions(),  # noqa: B008 (it cannot be changed)
) -> Ensemble:
    """Reads networks back from the folders of one run or several.

    Args:
        workdirs: the runs' folders.
        steps: the checkpoints of each run that take part; empty for the newest one, or for `last`.
        last: take the newest `last` checkpoints of each run.
        views: what the networks are shown; the whole image alone, if not given.
        data_dir: TFDS data folder; None means TFDS's default.
        inputs: how the images that are evaluated are read.

    Raises:
        ConfigError: the networks cannot judge together, or the arguments do not go together.
        RunFolderError: a folder holds no run, or no checkpoint yet.
        CheckpointError: a checkpoint that was asked for does not exist or is damaged.
    """
    if steps and last is not None:
        raise ConfigError(f"steps {list(steps)} and last {last} were both given; give one")
    folders = [Path(workdir) for workdir in workdirs]
    if not folders:
        raise ConfigError("workdir: none was given; name the folder of a run, or of several")
    for name, values in (("workdir", [f.resolve() for f in folders]), ("steps", list(steps))):
        if len(set(values)) < len(values):
            raise ConfigError(f"{name}: one stands there twice: {', '.join(map(str, values))}")
    load = partial(load_checkpoints, steps=steps, last=last, data_dir=data_dir, inputs=inputs)
    members = [member for folder in folders for member in load(folder)]
    return Ensemble(tuple(members), views)


def _check_agreement(first: LoadedRun, other: LoadedRun) -> None:
    """Refuses networks whose answers do not mean the same, or that evaluate different images."""
    if first.plan is other.plan:
        return
    where = f"{first.workdir} and {other.workdir}"
    if first.class_names != other.class_names:
        raise ConfigError(
            f"workdir: {where} do not have the same classes: {_names(first)} and {_names(other)}; "
            "only networks of the same classes can be averaged"
        )
    for key in ("name", "validation_examples"):
        mine, theirs = (getattr(run.plan.config.data, key) for run in (first, other))
        if mine != theirs:
            raise ConfigError(
                f"workdir: {where} do not evaluate the same images: data.{key} is {mine!r} and "
                f"{theirs!r}; evaluate them apart"
            )


def _names(run: LoadedRun) -> str:
    names = run.class_names
    return ", ".join(names[:3]) + (f", … ({len(names)})" if len(names) > 3 else "")
