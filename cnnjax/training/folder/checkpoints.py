"""Checkpoints that are trusted only after every byte was checked.

Around the arrays, which orbax writes, this module keeps what orbax 0.12 does not: a manifest of
digests that is verified before a checkpoint is read. A checkpoint is written aside and gets its
name only when it is whole.
"""

import json
import logging
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cnnjax.training.errors import CheckpointError
from cnnjax.training.folder.arrays import OtherArrays, cause_of, restore_arrays, save_arrays
from cnnjax.training.folder.finite import nonfinite_names
from cnnjax.training.folder.manifest import find_damage, write_manifest
from cnnjax.training.folder.names import ARRAYS_FOLDER, RECORD_FILE, checkpoint_name
from cnnjax.writing import flush, flush_tree

_logger = logging.getLogger(__name__)

_INCOMPLETE = "incoming-"
_REPLACED = "replaced-"

_SHOWN = 8
"""Of the arrays that differ, this many are named in a message."""


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


class Checkpoints:
    """The checkpoints of one run, one folder each, named by the step.

    Args:
        folder: the folder that holds them; it is made at the first save.
        keep: how many of the newest stay.
    """

    def __init__(self, folder: Path, keep: int = 3):
        if keep < 2:
            raise ValueError(f"keep: {keep} checkpoints; keep at least 2, one to fall back on")
        self.folder = folder.absolute()
        self.keep = keep
        self.moved_aside: list[int] = []
        """Steps whose damaged checkpoints this object has renamed."""

    def steps(self) -> list[int]:
        """Returns the steps of all whole checkpoints, oldest first, damaged ones included."""
        if not self.folder.is_dir():
            return []
        return sorted(int(path.name) for path in self.folder.iterdir() if path.name.isdigit())

    def save(
        self, step: int, state: Any, record: Mapping[str, Any], score: float | None = None
    ) -> None:
        """Writes a checkpoint and reads it back, then removes older ones.

        Those that stay are the newest `keep` and the one of the highest score. Nothing is removed
        before the new one has been read back from the disk as it was written.

        Args:
            step: its name.
            state: any pytree that flax can turn into a state dict.
            record: JSON values that belong to it.
            score: how good the state is, the higher the better; None where it is not compared.

        Raises:
            StateNotFinite: the state holds NaN or infinity; nothing was written.
            CheckpointError: it could not be written (the disk is full, ...), or read back; the
                checkpoints from before are as they were.
        """
        if bad := nonfinite_names(state):
            raise StateNotFinite(step, bad)
        aside = self.folder / f"{_INCOMPLETE}{checkpoint_name(step)}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._clear()  # what a process left that was killed here
            self._write(aside, state, {"score": score, **record})
            final = self.path(step)
            if final.exists():
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
            self._move_aside(final)
            raise CheckpointError(
                f"checkpoint {step} was not read back as it was written ({problem}): the disk of "
                f"{self.folder} loses data; {self._last_good()}"
            )
        self._prune()

    def _write(self, folder: Path, state: Any, record: Mapping[str, Any]) -> None:
        folder.mkdir()
        save_arrays(folder / ARRAYS_FOLDER, state)
        (folder / RECORD_FILE).write_text(json.dumps(record, indent=2))
        write_manifest(folder)
        # The folder's new name must not get to the disk before its content.
        flush_tree(folder)

    def _clear(self) -> None:
        for prefix in (_INCOMPLETE, _REPLACED):
            for left in self.folder.glob(f"{prefix}*"):
                shutil.rmtree(left)

    def _prune(self) -> None:
        steps = self.steps()
        kept = {*steps[-self.keep :], self.best()}
        for old in steps:
            if old not in kept:
                shutil.rmtree(self.path(old))

    def _last_good(self) -> str:
        """Returns, in words, which checkpoint a run can go on from."""
        for step in reversed(self.steps()):
            if self.problem(step) is None:
                return f"the last good checkpoint is that of step {step}"
        return "there is no good checkpoint yet"

    def best(self) -> int | None:
        """Returns the step of the highest score, of equal ones the first; None without scores.

        A damaged checkpoint does not count.
        """
        scored = []
        for step in self.steps():
            try:
                score = self.record(step).get("score")
            except (OSError, ValueError):
                continue
            if score is not None:
                scored.append((-score, step))
        return next((step for _, step in sorted(scored) if self.problem(step) is None), None)

    def newest_verified(self, move_damaged: bool) -> int | None:
        """Returns the newest step whose bytes are all as they were written; None if there is none.

        Args:
            move_damaged: rename damaged checkpoints on the way to `damaged-…`, so that their steps
                can be saved anew; else they are left where they are.

        Raises:
            CheckpointError: there are checkpoints, and every one is damaged.
        """
        damaged = []
        for step in reversed(self.steps()):
            problem = self.problem(step)
            if problem is None:
                break
            _logger.warning("checkpoint %d is damaged (%s): falling back", step, problem)
            damaged.append(step)
        else:
            if damaged:
                raise CheckpointError(
                    f"every checkpoint in {self.folder} is damaged (steps {damaged}); restore one "
                    "from a copy, or start in a new folder"
                )
            return None
        if move_damaged:
            for bad in damaged:
                self._move_aside(self.path(bad))
                self.moved_aside.append(bad)
        return step

    def problem(self, step: int) -> str | None:
        """Returns what is wrong with a checkpoint's bytes, in words; None if nothing is.

        Args:
            step: which one.
        """
        return find_damage(self.path(step))

    def record(self, step: int) -> dict[str, Any]:
        """Returns the JSON values that were saved with a checkpoint.

        Args:
            step: which one.
        """
        return json.loads((self.path(step) / RECORD_FILE).read_text())

    def restore(self, step: int, like: Any) -> Any:
        """Reads a checkpoint that was verified before.

        Args:
            step: which one.
            like: a pytree of arrays (or their shapes, with shardings) of the structure saved.

        Returns:
            A pytree like `like`.

        Raises:
            CheckpointError: it holds another structure or other shapes.
        """
        try:
            return restore_arrays(self.path(step) / ARRAYS_FOLDER, like)
        except OtherArrays as error:
            found = error.differences
            raise CheckpointError(
                f"checkpoint {step} in {self.folder} does not hold this network's state:\n  "
                + "\n  ".join(found[:_SHOWN])
                + (f"\n  and {len(found) - _SHOWN} more" * (len(found) > _SHOWN))
                + "\nit is another run's, or another version's; nothing was changed"
            ) from None

    def path(self, step: int) -> Path:
        """Returns the folder of a step's checkpoint.

        Args:
            step: which one.
        """
        return self.folder / checkpoint_name(step)

    def _move_aside(self, path: Path) -> None:
        number = 0
        while (target := self.folder / f"damaged-{path.name}-{number}").exists():
            number += 1
        os.replace(path, target)
