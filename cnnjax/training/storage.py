"""The storage of a run: its folder, or memory alone."""

import abc
import json
import logging
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any

from cnnjax import extras
from cnnjax.training.check import state_shapes
from cnnjax.training.devices import processes
from cnnjax.training.folder import run_folder
from cnnjax.training.folder.check import check_folder
from cnnjax.training.folder.checkpoints import Checkpoints
from cnnjax.training.folder.environment import describe_code, environment_differences
from cnnjax.training.folder.lock import locked
from cnnjax.training.folder.metrics import read_metrics
from cnnjax.training.folder.names import CHECKPOINTS_FOLDER
from cnnjax.training.folder.ownership import Owner, RunIdentity
from cnnjax.training.folder.write_errors import write_error
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
    def check(self) -> bool:
        """Checks, without writing anything, that the run can be kept there.

        Returns:
            Whether the run is new there.

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
    def start(
        self,
        environment: Mapping[str, Any],
        layout: Mapping[str, Any],
        step: int,
        plan: Mapping[str, Any] | None = None,
    ) -> Mapping[str, Any]:
        """Writes the facts of a start, and returns values for the record of every checkpoint.

        Args:
            environment: versions, devices and settings of this start.
            layout: how the run is spread over devices.
            step: the step that it continues from; 0 for a new run.
            plan: what a new run loads from other weights; None for nothing.
        """

    @abc.abstractmethod
    def history(self, written: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
        """Returns the run's metrics, in order, those of earlier starts included.

        Args:
            written: the metrics of this start.
        """

    @property
    def damaged(self) -> list[int]:
        """Steps whose damaged checkpoints were set aside."""
        return [] if self.checkpoints is None else self.checkpoints.moved_aside


class MemoryStorage(Storage):
    """A run that is kept in memory alone."""

    def check(self) -> bool:
        """See `Storage.check`."""
        return True

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

    def start(
        self,
        environment: Mapping[str, Any],
        layout: Mapping[str, Any],
        step: int,
        plan: Mapping[str, Any] | None = None,
    ) -> Mapping[str, Any]:
        """See `Storage.start`.

        Args:
            environment: not used.
            layout: not used.
            step: not used.
            plan: not used.
        """
        del environment, layout, step, plan
        return {}

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
        keep: how many of the newest checkpoints stay.
    """

    path: Path
    checkpoints: Checkpoints

    def __init__(self, run: Run, path: Path, keep: int):
        super().__init__(run)
        self.path = path
        self.checkpoints = Checkpoints(path / CHECKPOINTS_FOLDER, keep)

    @cached_property
    def _identity(self) -> RunIdentity:
        run = self._run
        made_by = "python" if run.identity is None else "configuration"
        # The values as they are read back: lists instead of tuples.
        values = json.loads(json.dumps(run_identity(run)))
        return RunIdentity(made_by, values, [dict(part) for part in run.parts])

    def check(self) -> bool:
        """See `Storage.check`."""
        return not check_folder(self.path, self._identity)

    def locked(self) -> AbstractContextManager[None]:
        """See `Storage.locked`; the first process holds it."""
        return locked(self.path) if processes.is_first() else nullcontext()

    def restore(self, environment: Mapping[str, Any]) -> Restored:
        """See `Storage.restore`.

        Args:
            environment: versions, devices and settings of this start.

        Raises:
            CheckpointError: all checkpoints are damaged, or one is another run's or holds another
                structure.
            RunFolderError: the processes do not see the same folder.
        """
        checkpoints = self.checkpoints
        checkpoints.owner = run_folder.find_owner(self.path, self._identity)
        # The first process chooses, so that all read the same checkpoint.
        found = checkpoints.restore_newest(state_shapes(self._run), processes.from_first)
        if found is None:
            return self._run.init_state(), None
        step, state = found
        if processes.is_first():
            # Not before one could be read: where all are damaged, they stay where they are.
            self._set_aside_after(step)
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
        return state, record["metrics"]

    def _set_aside_after(self, step: int) -> None:
        try:
            self.checkpoints.set_aside_after(step)
        except OSError as error:
            raise write_error(self.path, error) from error

    def start(
        self,
        environment: Mapping[str, Any],
        layout: Mapping[str, Any],
        step: int,
        plan: Mapping[str, Any] | None = None,
    ) -> Mapping[str, Any]:
        """See `Storage.start`; the first process writes.

        Args:
            environment: versions, devices and settings of this start.
            layout: how the run is spread over devices.
            step: the step that it continues from; 0 for a new run.
            plan: what a new run loads from other weights; None for nothing.
        """
        if not processes.is_first():
            return {}
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
        if plan is not None:
            facts["start"] = dict(plan)
        started = run_folder.start_run(self.path, self._identity, facts, self.checkpoints.owner)
        self.checkpoints.owner = Owner(self._identity.digest, started["run_id"])
        return {**started, "environment": dict(environment)}

    def history(self, written: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
        """See `Storage.history`.

        Args:
            written: not used: the folder has those of all starts.
        """
        del written
        return read_metrics(self.path)


def make_storage(run: Run, workdir: str | Path | None, keep: int) -> Storage:
    """Returns the storage of a run: its folder, or memory if there is none.

    Args:
        run: the run.
        workdir: the folder; None for memory.
        keep: how many of the newest checkpoints stay.

    Raises:
        MissingPackage: a package that writes the folder is not installed.
    """
    if workdir is None:
        return MemoryStorage(run)
    # tensorboardX draws pictures with Pillow, and does not require it.
    extras.check_installed("train", "tensorboardX", "PIL")
    return FolderStorage(run, Path(workdir), keep)
