"""Networks read back from the folders of their runs; nothing in a folder is changed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnnjax import data, parts
from cnnjax.importing import import_part
from cnnjax.inference.images import ImageForm
from cnnjax.inference.network import Network
from cnnjax.recipes.blueprint import Blueprint, make_blueprint
from cnnjax.recipes.make_run import load_evaluated
from cnnjax.recipes.without_examples import state_like
from cnnjax.training.check import state_shapes
from cnnjax.training.errors import CheckpointError, ConfigError, RunFolderError
from cnnjax.training.folder import names
from cnnjax.training.folder.ownership import Owner
from cnnjax.training.folder.run_folder import find_owner, read_identity
from cnnjax.training.folder.saved import SavedCheckpoints
from cnnjax.training.run import Run


@dataclass(frozen=True)
class _Source:
    """All but the checkpoints that the networks of a folder are made of.

    Attributes:
        fields: arguments of `Network` that do not depend on the checkpoint.
        like: shapes of the training state.
        owner: the run that the checkpoints must belong to.
    """

    fields: dict[str, Any]
    like: Any
    owner: Owner


def load(
    workdir: str | Path,
    step: int | None = None,
    *,
    run: Run | str | None = None,
    data_dir: str | None = None,
    read: data.ReadOptions = data.ReadOptions(),  # noqa: B008 (it cannot be changed)
) -> Network:
    """Reads a network back from the folder of its run.

    Args:
        workdir: the run's folder.
        step: which checkpoint; None means the newest that can be trusted.
        run: the run, where it was made in Python, or the path of a function that makes it, such as
            "my_package.runs:make".
        data_dir: TFDS data folder; None means TFDS's default.
        read: how images are read that are not in memory.

    Raises:
        RunFolderError: the folder holds no run, or no checkpoint yet; or its parts are gone.
        CheckpointError: the checkpoint of `step` does not exist or is damaged, or all are.
        ConfigError: the run was made in Python, and `run` was not given.
    """
    steps = () if step is None else (step,)
    return load_checkpoints(workdir, steps=steps, run=run, data_dir=data_dir, read=read)[0]


def load_checkpoints(
    workdir: str | Path,
    *,
    steps: Sequence[int] = (),
    last: int | None = None,
    run: Run | str | None = None,
    data_dir: str | None = None,
    read: data.ReadOptions = data.ReadOptions(),  # noqa: B008 (it cannot be changed)
) -> list[Network]:
    """Reads several checkpoints of a run.

    Args:
        workdir: the run's folder.
        steps: which checkpoints; empty for the newest that can be trusted, or for `last`.
        last: the newest `last` of the checkpoints, where `steps` is empty.
        run: see `load`.
        data_dir: TFDS data folder; None means TFDS's default.
        read: how images are read that are not in memory.

    Returns:
        One network for each checkpoint, all of one model, in the order of `steps`.

    Raises:
        ConfigError: `last` is less than 1, or the run was made in Python, and `run` was not given.
        RunFolderError: the folder holds no run, or no checkpoint yet; or its parts are gone.
        CheckpointError: a checkpoint of `steps` or `last` does not exist or is damaged, or all are.
    """
    workdir = Path(workdir)
    source = _source(workdir, run, data_dir, read)
    checkpoints = SavedCheckpoints(workdir / names.CHECKPOINTS_FOLDER, source.owner)
    networks = []
    for step, state in _states(workdir, checkpoints, source.like, steps, last):
        networks.append(
            Network(
                **source.fields,
                variables=state.eval_variables,
                task_state=state.task_state,
                step=step,
                origin=f"{workdir}, step {step}",
                workdir=workdir,
                read=read,
            )
        )
    return networks


def _source(
    workdir: Path, run: Run | str | None, data_dir: str | None, read: data.ReadOptions
) -> _Source:
    identity = read_identity(workdir)
    owner = find_owner(workdir, identity)
    try:
        parts.restore(identity.parts)
    except ValueError as error:
        raise RunFolderError(f"workdir: {workdir}: {error}") from error
    if run is not None:
        made = _made(run)
        return _Source(_fields_of_run(made), state_shapes(made), owner)
    if identity.made_by != "configuration":
        raise ConfigError(
            f"workdir: the run in {workdir} was made in Python; give it, "
            "inference.load(folder, run=run), or the path of a function that makes it, "
            "--run=my_package.runs:make"
        )
    try:
        blueprint = make_blueprint(identity.values, data_dir)
    except ValueError as error:
        path = workdir / names.CONFIG_FILE
        if str(error).startswith("dataset:"):
            raise RunFolderError(
                f"workdir: the run in {workdir} names its classes and sizes by its dataset, which "
                f"is not there: {error}; start this command in the folder in which the run was "
                "trained, or put the images back"
            ) from None
        raise RunFolderError(f"workdir: {path} is not a configuration: {error}") from None
    # Only shapes are needed: the checkpoint gives the values.
    return _Source(_fields_of_blueprint(blueprint, data_dir, read), state_like(blueprint), owner)


def _made(run: Run | str) -> Run:
    if isinstance(run, Run):
        return run
    made = import_part("run", run)()
    if not isinstance(made, Run):
        raise ConfigError(f"run: {run} returned {type(made).__name__}, not a training.Run")
    return made


def _fields_of_run(run: Run) -> dict[str, Any]:
    shape = run.main.examples.spec["image"].shape
    test = run.test
    return {
        "model": run.model,
        "task": run.task,
        "preprocess": run.preprocess,
        "form": ImageForm((shape[0], shape[1], shape[2])),
        "title": run.names,
        "split": run.split,
        "data_identity": None if test is None else test.identity(),
        "load_examples": None if test is None else lambda framing: test,
    }


def _fields_of_blueprint(
    blueprint: Blueprint, data_dir: str | None, read: data.ReadOptions
) -> dict[str, Any]:
    section = blueprint.config.data
    return {
        "model": blueprint.model,
        "task": blueprint.task,
        "preprocess": blueprint.preprocess,
        "form": ImageForm(blueprint.stored_shape, blueprint.framing),
        "title": (blueprint.config.model.name, section.name),
        "split": blueprint.split,
        "data_identity": {"name": section.name, "validation_examples": section.validation_examples},
        "load_examples": lambda framing: load_evaluated(blueprint, data_dir, read, framing),
        "config": blueprint.config.model_dump(),
    }


def _states(
    workdir: Path, checkpoints: SavedCheckpoints, like: Any, steps: Sequence[int], last: int | None
) -> Iterator[tuple[int, Any]]:
    """Yields the chosen steps and their states, one at a time."""
    if not steps and last is None:
        # A damaged checkpoint stays where it is: reading a run changes nothing in its folder.
        newest = checkpoints.restore_newest(like)
        if newest is None:
            raise RunFolderError(f"workdir: {workdir} has no checkpoint yet; train it further")
        yield newest
        return
    if not steps and last is not None:
        steps = _last(workdir, checkpoints, last)
    # All are checked before the first is read, which may take long.
    for step in steps:
        if step not in checkpoints.steps():
            raise CheckpointError(
                f"step: {workdir} has no checkpoint of step {step}; it has {checkpoints.steps()}"
            )
        if foreign := checkpoints.foreign(step):
            raise CheckpointError(f"step: checkpoint {step} is another run's: {foreign}")
        if problem := checkpoints.problem(step):
            raise CheckpointError(f"step: the checkpoint of step {step} is damaged: {problem}")
    for step in steps:
        yield step, checkpoints.restore(step, like)


def _last(workdir: Path, checkpoints: SavedCheckpoints, count: int) -> list[int]:
    if count < 1:
        raise ConfigError(f"last: {count} was given; give 1 or more")
    found = checkpoints.steps()
    if len(found) < count:
        raise CheckpointError(
            f"last: {count} was given, but {workdir} has {len(found)} checkpoints: {found}"
        )
    return found[-count:]
