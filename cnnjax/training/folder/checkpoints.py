"""Checkpoints that are trusted only after every byte was checked.

Around the arrays, which orbax writes, this module keeps what orbax 0.12 does not: a manifest that
names the run and the digests of all files, and is verified before a checkpoint is read. A
checkpoint is written aside and gets its name only when it is whole.
"""

import json
import logging
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cnnjax.training.errors import CheckpointError
from cnnjax.training.folder.arrays import cause_of, save_arrays
from cnnjax.training.folder.finite import nonfinite_names
from cnnjax.training.folder.manifest import write_manifest
from cnnjax.training.folder.names import ARRAYS_FOLDER, RECORD_FILE, checkpoint_name
from cnnjax.training.folder.ownership import Owner
from cnnjax.training.folder.record import check_record, owner_of
from cnnjax.training.folder.saved import SavedCheckpoints
from cnnjax.training.folder.setting_aside import remove, set_aside
from cnnjax.writing import flush, flush_tree

_logger = logging.getLogger(__name__)

_INCOMPLETE = "incoming-"
_REPLACED = "replaced-"


class StateNotFinite(Exception):
    """A state holds NaN or infinity.

    Attributes:
        step: the state's step.
        names: the paths of its arrays that do.
    """

    def __init__(self, step: int, names: list[str]):
        super().__init__(f"the state after step {step} is not finite: {', '.join(names)}")
        self.step = step
        self.names = names


class Checkpoints(SavedCheckpoints):
    """The checkpoints of one run, one folder each, named by the step.

    Args:
        folder: the folder that holds them; it is made at the first save.
        keep: how many of the newest stay.
        owner: the run that they must belong to; None to take those of any run.
    """

    def __init__(self, folder: Path, keep: int = 3, owner: Owner | None = None):
        if keep < 2:
            raise ValueError(f"keep: {keep} checkpoints; keep at least 2, one to fall back on")
        super().__init__(folder, owner)
        self.keep = keep
        self.moved_aside: list[int] = []
        """Steps whose damaged checkpoints this object has renamed."""

    def save(
        self, step: int, state: Any, record: Mapping[str, Any], score: float | None = None
    ) -> None:
        """Writes a checkpoint and reads it back, then removes older ones.

        Those that stay are the newest `keep` and the one of the highest score. Nothing is removed
        before the new one has been read back from the disk as it was written.

        Args:
            step: its name.
            state: any pytree that flax can turn into a state dict.
            record: JSON values that belong to it, as in `record.RECORD_TABLE`; step and score are
                added.
            score: how good the state is, the higher the better; None where it is not compared.

        Raises:
            ValueError: an entry of the record is missing, or of another kind.
            StateNotFinite: the state holds NaN or infinity; nothing was written.
            CheckpointError: it could not be written (the disk is full, ...), or read back; the
                checkpoints from before are as they were.
        """
        record = check_record({"score": score, **record, "step": step})
        if bad := nonfinite_names(state):
            raise StateNotFinite(step, bad)
        aside = self.folder / f"{_INCOMPLETE}{checkpoint_name(step)}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._clear()  # what a process left that was killed here
            self._write(aside, state, record)
            final = self.path(step)
            if self.foreign(step) is not None:
                set_aside(final)  # another run's only copy, perhaps
            elif os.path.lexists(final):
                os.replace(final, self.folder / f"{_REPLACED}{checkpoint_name(step)}")
            os.replace(aside, final)
            flush(self.folder)
            self._clear()
        except Exception as error:  # tensorstore's errors have no class of their own
            shutil.rmtree(aside, ignore_errors=True)
            raise CheckpointError(
                f"checkpoint {step} cannot be written to {self.folder}: {cause_of(error)}; "
                f"{self._last_good()}; make room and start the same command again to go on from it"
            ) from error
        if problem := self.problem(step):
            set_aside(final)
            raise CheckpointError(
                f"checkpoint {step} was not read back as it was written ({problem}): the disk of "
                f"{self.folder} loses data; {self._last_good()}"
            )
        self._prune()

    def _write(self, folder: Path, state: Any, record: Mapping[str, Any]) -> None:
        folder.mkdir()
        save_arrays(folder / ARRAYS_FOLDER, state)
        (folder / RECORD_FILE).write_text(json.dumps(record, indent=2))
        write_manifest(folder, owner_of(record), record["step"])
        # The folder's new name must not get to the disk before its content.
        flush_tree(folder)

    def _clear(self) -> None:
        for prefix in (_INCOMPLETE, _REPLACED):
            for left in self.folder.glob(f"{prefix}*"):
                remove(left)

    def _prune(self) -> None:
        # Checkpoints of other runs are left where they are, and do not push out this run's.
        steps = [step for step in self.steps() if self.foreign(step) is None]
        kept = {*steps[-self.keep :], self.best()}
        for old in steps:
            if old not in kept:
                try:
                    remove(self.path(old))
                except OSError as error:
                    _logger.warning("checkpoint %d cannot be removed: %s", old, error)

    def _last_good(self) -> str:
        """Returns, in words, which checkpoint a run can go on from."""
        for step in reversed(self.steps()):
            if self.problem(step) is None:
                return f"the last good checkpoint is that of step {step}"
        return "there is no good checkpoint yet"

    def set_aside_after(self, step: int) -> None:
        """Renames the checkpoints after a step to `damaged-…`, so that they can be saved anew.

        Args:
            step: the newest one that could be read.
        """
        for damaged in reversed(self.steps()):
            if damaged > step:
                set_aside(self.path(damaged))
                self.moved_aside.append(damaged)
