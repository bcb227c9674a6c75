"""The storage of a run: its folder, or memory alone."""

import abc
import json
import logging
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any

import jax

from cnnjax import extras
from cnnjax.training.check import state_shapes
from cnnjax.training.devices import processes
from cnnjax.training.errors import RunFolderError
from cnnjax.training.folder import run_folder
from cnnjax.training.folder.checkpoints import Checkpoints
from cnnjax.training.folder.environment import describe_code, environment_differences
from cnnjax.training.folder.metrics import read_metrics
from cnnjax.training.folder.names import CHECKPOINTS_FOLDER
from cnnjax.training.identity import run_identity
from cnnjax.training.run import Run
from cnnjax.training.step.state import TrainState

_logger = logging.getLogger(__name__)

Restored = tuple[TrainState, dict[str, float] | None]
"""A state, and the metrics of its evaluation if there was one."""


class Storage(abc.ABC):
    """The place where a run keeps its states and metrics.

    Args:
        run: the run.

    Attributes:
        path: its folder; None where there is none.
        checkpoints: its checkpoints; None where there are none.
    """

    path: Path | None = None
    checkpoints: Checkpoints | None = None

    def __init__(self, run: Run):
        self._run = run

    @abc.abstractmethod
    def check(self) -> None:
        """Checks, without writing anything, that the run can be kept there.

        Raises:
            RunFolderError: it cannot.
        """

    @abc.abstractmethod
    def locked(self) -> AbstractContextManager[None]:
        """Keeps other processes out while the block runs."""

    @abc.abstractmethod
    def restore(self, environment: Mapping[str, Any]) -> Restored:
        """Returns the newest state that can be trusted, or the first one, and its metrics if any.

        Args:
            environment: versions, devices and settings of this start.
        """

    @abc.abstractmethod
    def start(self, environment: Mapping[str, Any], layout: Mapping[str, Any], step: int) -> None:
        """Writes the facts of a start.

        Args:
            environment: versions, devices and settings of this start.
            layout: how the run is spread over devices.
            step: the step that it continues from; 0 for a new run.
        """

    @abc.abstractmethod
    def history(self, written: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
        """Returns the run's metrics, in order, those of earlier starts included.

        Args:
            written: the metrics of this start.
        """

    @property
    def identity(self) -> Mapping[str, Any] | None:
        """What identifies the run in every checkpoint."""
        return None

    @property
    def damaged(self) -> list[int]:
        """Steps whose damaged checkpoints were set aside."""
        return [] if self.checkpoints is None else self.checkpoints.moved_aside


class MemoryStorage(Storage):
    """A run that is kept in memory alone."""

    def check(self) -> None:
        """See `Storage.check`."""

    def locked(self) -> AbstractContextManager[None]:
        """See `Storage.locked`."""
        return nullcontext()

    def restore(self, environment: Mapping[str, Any]) -> Restored:
        """See `Storage.restore`.

        Args:
            environment: not used.
        """
        del environment
        return self._run.init_state(), None

    def start(self, environment: Mapping[str, Any], layout: Mapping[str, Any], step: int) -> None:
        """See `Storage.start`.

        Args:
            environment: not used.
            layout: not used.
            step: not used.
        """

    def history(self, written: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
        """See `Storage.history`.

        Args:
            written: the metrics of this start, which are all.
        """
        return written


class FolderStorage(Storage):
    """A run that is kept in a folder.

    Args:
        run: the run.
        path: the folder.
    """

    path: Path
    checkpoints: Checkpoints

    def __init__(self, run: Run, path: Path):
        super().__init__(run)
        self.path = path
        self.checkpoints = Checkpoints(path / CHECKPOINTS_FOLDER)

    @cached_property
    def _identity(self) -> run_folder.RunIdentity:
        run = self._run
        made_by = "python" if run.identity is None else "configuration"
        # The values as they are read back: lists instead of tuples.
        values = json.loads(json.dumps(run_identity(run)))
        return run_folder.RunIdentity(made_by, values, [dict(part) for part in run.parts])

    @property
    def identity(self) -> Mapping[str, Any]:
        """See `Storage.identity`."""
        return self._identity.values

    def check(self) -> None:
        """See `Storage.check`."""
        run_folder.check_folder(self.path, self._identity)

    def locked(self) -> AbstractContextManager[None]:
        """See `Storage.locked`; the first process holds it."""
        return run_folder.locked(self.path) if processes.is_first() else nullcontext()

    def restore(self, environment: Mapping[str, Any]) -> Restored:
        """See `Storage.restore`.

        Args:
            environment: versions, devices and settings of this start.

        Raises:
            CheckpointError: all checkpoints are damaged, or the newest holds another structure.
            RunFolderError: the processes do not see the same folder.
        """
        checkpoints = self.checkpoints
        # Only one process looks, since looking renames damaged checkpoints.
        # -1 stands for no checkpoint, since processes exchange whole numbers only.
        step = processes.from_first(
            lambda: (
                -1 if (newest := checkpoints.newest_verified(move_damaged=True)) is None else newest
            )
        )
        if step < 0:
            return self._run.init_state(), None
        if step not in checkpoints.steps():
            raise RunFolderError(
                f"workdir: process 0 resumes from the checkpoint of step {step}, which process "
                f"{jax.process_index()} does not find in {checkpoints.folder}; all processes need "
                "the same folder"
            )
        record = checkpoints.record(step)
        differing = environment_differences(record["environment"], dict(environment))
        if differing:
            _logger.warning(
                "resuming on another environment, so the run may differ in the last bits: %s",
                "; ".join(differing),
            )
        _logger.info("resuming from the checkpoint of step %d", step)
        if self._identity.made_by == "python":
            _logger.info("the numbers inside an optimizer object cannot be compared with before")
        state = checkpoints.restore(step, state_shapes(self._run))
        return state, record.get("metrics")

    def start(self, environment: Mapping[str, Any], layout: Mapping[str, Any], step: int) -> None:
        """See `Storage.start`; the first process writes.

        Args:
            environment: versions, devices and settings of this start.
            layout: how the run is spread over devices.
            step: the step that it continues from; 0 for a new run.
        """
        if not processes.is_first():
            return
        model, dataset = self._run.names
        facts = {
            "model": model,
            "dataset": dataset,
            "batch_size": self._run.first_batch_size,
            **describe_code(),
            **environment,
            "layout": dict(layout),
            "resumed_from": step or None,
        }
        run_folder.start_run(self.path, self._identity, facts)

    def history(self, written: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
        """See `Storage.history`.

        Args:
            written: not used: the folder has those of all starts.
        """
        del written
        return read_metrics(self.path)


def make_storage(run: Run, workdir: str | Path | None) -> Storage:
    """Returns the storage of a run: its folder, or memory if there is none.

    Args:
        run: the run.
        workdir: the folder; None for memory.

    Raises:
        MissingPackage: a package that writes the folder is not installed.
    """
    if workdir is None:
        return MemoryStorage(run)
    # tensorboardX draws pictures with Pillow, and does not require it.
    extras.check_installed("train", "tensorboardX", "PIL")
    return FolderStorage(run, Path(workdir))
