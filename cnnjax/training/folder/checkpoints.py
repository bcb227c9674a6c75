"""Checkpoints that are trusted only after every byte was checked.

Orbax writes the arrays; around them this module keeps what orbax 0.12 does not: it restores flipped
bits without noticing, so a manifest of SHA-256 digests is written with each checkpoint and verified
before it is read. A checkpoint is written aside and gets its name only when it is whole.
"""

import contextlib
import hashlib
import json
import logging
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
from flax import serialization

from cnnjax import patterns
from cnnjax.training.errors import CheckpointError
from cnnjax.training.folder.finite import nonfinite_names

_logger = logging.getLogger(__name__)

_MANIFEST = "manifest.json"
_RECORD = "record.json"
_ARRAYS = "arrays"
_INCOMPLETE = "incoming-"
_REPLACED = "replaced-"
_TOLD = 8


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
        folder: where they lie; it is made at the first save.
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
            score: how good the state is, where that may be asked: the higher, the better.

        Raises:
            StateNotFinite: the state holds NaN or infinity; nothing was written.
            CheckpointError: it could not be written (the disk is full, ...), or read back; the
                checkpoints from before are as they were.
        """
        if bad := nonfinite_names(state):
            raise StateNotFinite(step, bad)
        aside = self.folder / f"{_INCOMPLETE}{step:08d}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._clear()  # what a process left that was killed here
            self._write(aside, state, {"score": score, **record})
            final = self.path(step)
            if final.exists():
                os.replace(final, self.folder / f"{_REPLACED}{step:08d}")
            os.replace(aside, final)
            _flush_folder(self.folder)
            self._clear()
        except Exception as error:  # tensorstore's errors have no class of their own
            shutil.rmtree(aside, ignore_errors=True)
            raise CheckpointError(
                f"checkpoint {step} cannot be written to {self.folder}: {_cause(error)}; "
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
        with _quiet_orbax(), _checkpointer() as checkpointer:
            checkpointer.save(folder / _ARRAYS, serialization.to_state_dict(state))
        (folder / _RECORD).write_text(json.dumps(record, indent=2))
        (folder / _MANIFEST).write_text(json.dumps(_digests(folder), indent=2))
        _flush(folder)

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
        """Says which checkpoint a run can go on from."""
        for step in reversed(self.steps()):
            if self.problem(step) is None:
                return f"the last good checkpoint is that of step {step}"
        return "there is no good checkpoint yet"

    def best(self) -> int | None:
        """Returns the step of the highest score, of equal ones the first; None without scores.

        A damaged checkpoint has no say.
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
        """Says what is wrong with a checkpoint's bytes; None if nothing is."""
        path = self.path(step)
        try:
            manifest = json.loads((path / _MANIFEST).read_text())
        except (OSError, ValueError):
            return "its manifest cannot be read"
        try:
            digests = _digests(path)
        except OSError as error:
            return f"it cannot be read: {error}"
        changed = sorted(name for name in manifest if digests.get(name) != manifest[name])
        return f"{changed[0]} is missing or changed" if changed else None

    def record(self, step: int) -> dict[str, Any]:
        """Returns the JSON values that were saved with a checkpoint."""
        return json.loads((self.path(step) / _RECORD).read_text())

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
        target = jax.tree.map(_abstract, serialization.to_state_dict(like))
        path = self.path(step) / _ARRAYS
        with _checkpointer() as checkpointer:
            saved = checkpointer.metadata(path).item_metadata.tree
            mismatches = _mismatches(_forms(saved), _forms(target))
            if mismatches:
                raise CheckpointError(
                    f"checkpoint {step} in {self.folder} does not hold this network's state:\n  "
                    + "\n  ".join(mismatches[:_TOLD])
                    + (f"\n  and {len(mismatches) - _TOLD} more" * (len(mismatches) > _TOLD))
                    + "\nit is another run's, or another version's; nothing was changed"
                )
            restored = checkpointer.restore(path, target)
        return serialization.from_state_dict(like, restored)

    def path(self, step: int) -> Path:
        """Returns the folder of a step's checkpoint."""
        return self.folder / f"{step:08d}"

    def _move_aside(self, path: Path) -> None:
        number = 0
        while (target := self.folder / f"damaged-{path.name}-{number}").exists():
            number += 1
        os.replace(path, target)


def _checkpointer() -> ocp.StandardCheckpointer:
    """Orbax for this process alone: it does not wait for the others of a run."""
    me = jax.process_index()
    return ocp.StandardCheckpointer(
        multiprocessing_options=ocp.options.MultiprocessingOptions(
            primary_host=me, active_processes={me}, barrier_sync_key_prefix=f"process{me}"
        )
    )


@contextlib.contextmanager
def _quiet_orbax() -> Iterator[None]:
    """Keeps orbax from printing each of its threads' tracebacks besides raising the error."""
    log, hook = logging.getLogger("absl"), sys.unraisablehook
    level = log.level

    def tell(unraisable: Any) -> None:
        # Of writes that failed after the first one had ended them all.
        if "Event loop is closed" not in str(unraisable.exc_value):
            hook(unraisable)

    log.setLevel(logging.CRITICAL)
    sys.unraisablehook = tell
    try:
        yield
    except Exception:
        time.sleep(0.5)  # for those still under way
        raise
    finally:
        log.setLevel(level)
        sys.unraisablehook = hook


def _cause(error: Exception) -> str:
    """Returns what the operating system said, where tensorstore wraps it, or the first line."""
    text = str(error).strip() or type(error).__name__
    said = re.findall(r": ([^:\n]+) \[os_error_code='\d+'\]", text)
    return said[-1] if said else text.splitlines()[0]


def _abstract(leaf: Any) -> jax.ShapeDtypeStruct:
    sharding = getattr(leaf, "sharding", None)
    if sharding is None:
        sharding = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)


def _forms(tree: Any) -> dict[str, str]:
    """Returns shape and dtype of every array of a tree, by its path."""
    leaves = jax.tree.leaves(tree)
    return {
        name: f"{tuple(leaf.shape)} {leaf.dtype}"
        for name, leaf in zip(patterns.path_names(tree), leaves, strict=True)
    }


def _mismatches(saved: dict[str, str], wanted: dict[str, str]) -> list[str]:
    return [
        f"{name} is {saved.get(name, 'missing')} there, {wanted.get(name, 'not known')} here"
        for name in sorted(saved.keys() | wanted.keys())
        if saved.get(name) != wanted.get(name)
    ]


def _digests(folder: Path) -> dict[str, str]:
    """Returns the SHA-256 of every file beneath a folder but the manifest, by relative path."""
    digests = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path != folder / _MANIFEST:
            with path.open("rb") as file:
                if hasattr(os, "posix_fadvise"):
                    # What is on the disk counts, not what is still in memory.
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            digests[path.relative_to(folder).as_posix()] = digest
    return digests


def _flush(folder: Path) -> None:
    """Sees every file beneath a folder onto the disk: the name must not get there first."""
    for path in [folder, *folder.rglob("*")]:
        _flush_folder(path)


def _flush_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
