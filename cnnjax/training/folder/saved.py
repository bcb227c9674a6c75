"""How the checkpoints of a run are listed, verified and read back.

A checkpoint is taken only where its manifest is that of the run, all files have the digests that it
names, and its record is whole. Where orbax fails all the same, the one before is taken.
"""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax

from cnnjax.training.errors import CheckpointError, RunFolderError
from cnnjax.training.folder.arrays import OtherArrays, UnreadableArrays, restore_arrays
from cnnjax.training.folder.json_files import DamagedFile
from cnnjax.training.folder.manifest import find_damage, read_manifest
from cnnjax.training.folder.names import ARRAYS_FOLDER, RECORD_FILE, checkpoint_name, step_of
from cnnjax.training.folder.ownership import Owner
from cnnjax.training.folder.record import read_record

_logger = logging.getLogger(__name__)

_SHOWN = 8
"""Of the arrays that differ, this many are named in a message."""


class UnreadableCheckpoint(CheckpointError):
    """The files of a checkpoint are as its manifest names them, and cannot be read all the same."""


class SavedCheckpoints:
    """The checkpoints in a folder; nothing in it is changed.

    Args:
        folder: the folder that holds them.
        owner: the run that they must belong to; None to take those of any run.

    Attributes:
        owner: as above; it may be set once it is known.
    """

    def __init__(self, folder: Path, owner: Owner | None = None):
        self.folder = folder.absolute()
        self.owner = owner

    def steps(self) -> list[int]:
        """Returns the steps of all whole checkpoints, oldest first, damaged ones included."""
        if not self.folder.is_dir():
            return []
        found = (step_of(path.name) for path in self.folder.iterdir())
        return sorted(step for step in found if step is not None)

    def path(self, step: int) -> Path:
        """Returns the folder of a step's checkpoint.

        Args:
            step: which one.
        """
        return self.folder / checkpoint_name(step)

    def best(self) -> int | None:
        """Returns the step of the highest score, of equal ones the first; None without scores.

        A damaged checkpoint does not count, and none of another run.
        """
        scored = []
        for step in self.steps():
            try:
                score = self.record(step)["score"]
            except CheckpointError:
                continue
            if score is not None:
                scored.append((-score, step))
        return next((step for _, step in sorted(scored) if self.problem(step) is None), None)

    def verified(self) -> Iterator[int]:
        """Yields the steps whose bytes are all as they were written, newest first.

        Damaged ones on the way are reported and passed over.

        Raises:
            CheckpointError: one is another run's.
        """
        for step in reversed(self.steps()):
            if foreign := self.foreign(step):
                raise CheckpointError(
                    f"checkpoint {step} in {self.folder} is another run's: {foreign}; move it to "
                    "another place; nothing was changed"
                )
            problem = self.problem(step)
            if problem is None:
                yield step
            else:
                _logger.warning("checkpoint %d is damaged (%s): falling back", step, problem)

    def newest_verified(self) -> int | None:
        """Returns the newest step whose bytes are all as they were written; None if there is none.

        Raises:
            CheckpointError: there are checkpoints, and every one is damaged, or one is another
                run's.
        """
        step = next(self.verified(), None)
        if step is None:
            self._check_none_left()
        return step

    def restore_newest(
        self, like: Any, choose: Callable[[Callable[[], int]], int] = lambda newest: newest()
    ) -> tuple[int, Any] | None:
        """Reads the newest checkpoint that can be read.

        Args:
            like: a pytree of arrays (or their shapes, with shardings) of the structure saved.
            choose: calls a function that returns a whole number, and returns the number: where
                several processes read, that of the first one in all of them.

        Returns:
            Its step and a pytree like `like`; None if there are no checkpoints.

        Raises:
            CheckpointError: every checkpoint is damaged, or one is another run's, or of another
                structure.
            RunFolderError: the processes do not see the same folder.
        """
        candidates = self.verified()
        # -1 stands for no checkpoint, since processes exchange whole numbers only.
        while (step := choose(lambda: next(candidates, -1))) >= 0:
            if step not in self.steps():
                raise RunFolderError(
                    f"workdir: process 0 resumes from the checkpoint of step {step}, which process "
                    f"{jax.process_index()} does not find in {self.folder}; all processes need the "
                    "same folder"
                )
            failed: UnreadableCheckpoint | None = None
            state = None
            try:
                state = self.restore(step, like)
            except UnreadableCheckpoint as error:
                failed = error
            # All processes have to go on from the same step.
            readable = choose(lambda failed=failed: int(failed is None))
            if readable and failed is None:
                return step, state
            if readable and failed is not None:
                raise failed
            _logger.warning("%s: falling back", failed or f"checkpoint {step} cannot be read")
        self._check_none_left()
        return None

    def _check_none_left(self) -> None:
        if steps := self.steps()[::-1]:
            raise CheckpointError(
                f"every checkpoint in {self.folder} is damaged (steps {steps}); restore one "
                "from a copy, or start in a new folder"
            )

    def problem(self, step: int) -> str | None:
        """Returns what is wrong with a checkpoint, in words; None if nothing is.

        Args:
            step: which one.
        """
        if problem := find_damage(self.path(step), step):
            return problem
        try:
            self.record(step)
        except CheckpointError as error:
            return str(error)
        return self.foreign(step)

    def foreign(self, step: int) -> str | None:
        """Returns by what a checkpoint is another run's, in words; None if it is not, or damaged.

        Args:
            step: which one.
        """
        if self.owner is None:
            return None
        try:
            return self.owner.difference(read_manifest(self.path(step)).owner)
        except (DamagedFile, RunFolderError):
            return None

    def record(self, step: int) -> dict[str, Any]:
        """Returns the JSON values that were saved with a checkpoint.

        Args:
            step: which one.

        Raises:
            CheckpointError: they cannot be read.
        """
        try:
            return read_record(self.path(step) / RECORD_FILE)
        except (OSError, DamagedFile, RunFolderError) as error:
            raise CheckpointError(str(error)) from None

    def restore(self, step: int, like: Any) -> Any:
        """Reads a checkpoint that was verified before.

        Args:
            step: which one.
            like: a pytree of arrays (or their shapes, with shardings) of the structure saved.

        Returns:
            A pytree like `like`.

        Raises:
            UnreadableCheckpoint: orbax cannot read it.
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
        except UnreadableArrays as error:
            raise UnreadableCheckpoint(
                f"checkpoint {step} in {self.folder} cannot be read: {error}"
            ) from None
