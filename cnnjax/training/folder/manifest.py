"""The manifest of a checkpoint, by which damage and checkpoints of other runs are found.

Orbax 0.12 restores flipped bits without noticing: a manifest with the SHA-256 of every file is
written with each checkpoint, and verified before the checkpoint is read. It also names the run and
the step, and holds a digest of its own entries.
"""

import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import Any, NamedTuple

from cnnjax import digests
from cnnjax.training.errors import RunFolderError
from cnnjax.training.folder.json_files import (
    COUNT,
    DIGEST,
    RUN_ID,
    DamagedFile,
    Kind,
    Table,
    read_json,
)
from cnnjax.training.folder.names import ARRAYS_FOLDER, MANIFEST_FILE, RECORD_FILE
from cnnjax.training.folder.ownership import Owner

_FILES = Kind(
    "an object of digests",
    lambda value: isinstance(value, dict) and all(map(DIGEST.fits, value.values())),
)

_TABLE: Table = {
    "run_id": RUN_ID,
    "identity": DIGEST,
    "step": COUNT,
    "files": _FILES,
    "digest": DIGEST,
}


class Manifest(NamedTuple):
    """What a checkpoint's manifest holds.

    Attributes:
        owner: the run that saved the checkpoint.
        step: the number of steps it had done.
        files: the SHA-256 of every other file of the checkpoint, by its relative path.
    """

    owner: Owner
    step: int
    files: dict[str, str]


def write_manifest(folder: Path, owner: Owner, step: int) -> None:
    """Writes the manifest of a checkpoint.

    Args:
        folder: the checkpoint's folder, complete but for the manifest.
        owner: the run that saves it.
        step: the number of steps it has done.
    """
    entries = {
        "run_id": owner.run_id,
        "identity": owner.identity,
        "step": step,
        "files": _digests(folder),
    }
    # Not written aside: the whole folder gets its name only after this file.
    (folder / MANIFEST_FILE).write_text(
        json.dumps({**entries, "digest": _digest_of(entries)}, indent=2)
    )


def read_manifest(folder: Path) -> Manifest:
    """Returns what the manifest of a checkpoint holds.

    Args:
        folder: the checkpoint's folder.

    Raises:
        DamagedFile: it is missing, or is not as it was written.
        RunFolderError: it may not be read.
    """
    path = folder / MANIFEST_FILE
    try:
        entries = read_json(path, _TABLE)
    except FileNotFoundError:
        raise DamagedFile(path, "it is missing") from None
    if entries.pop("digest") != _digest_of(entries):
        raise DamagedFile(path, "its digest is another one")
    files = entries["files"]
    if RECORD_FILE not in files or not any(_is_of_arrays(name) for name in files):
        raise DamagedFile(path, "it does not name the files of a checkpoint")
    return Manifest(Owner(entries["identity"], entries["run_id"]), entries["step"], files)


def find_damage(folder: Path, step: int) -> str | None:
    """Returns what is wrong with the bytes beneath a folder, in words; None if nothing is.

    Args:
        folder: the checkpoint's folder.
        step: the step that the folder's name gives.
    """
    try:
        manifest = read_manifest(folder)
    except DamagedFile as damaged:
        return f"its manifest cannot be read: {damaged.problem}"
    except (OSError, RunFolderError) as error:
        return f"its manifest cannot be read: {error}"
    if manifest.step != step:
        return f"it is the checkpoint of step {manifest.step} under another name"
    try:
        found = _digests(folder)
    except OSError as error:
        return f"it cannot be read: {error}"
    changed = sorted(name for name in manifest.files if found.get(name) != manifest.files[name])
    if changed:
        return f"{changed[0]} is missing or changed"
    # Orbax could read such a file. Hidden ones are made by file systems.
    added = sorted(
        name
        for name in found.keys() - manifest.files.keys()
        if _is_of_arrays(name) and not name.rpartition("/")[2].startswith(".")
    )
    return f"{added[0]} is not named in its manifest" if added else None


def _is_of_arrays(name: str) -> bool:
    return name.startswith(f"{ARRAYS_FOLDER}/")


def _digest_of(entries: dict[str, Any]) -> str:
    """Returns the SHA-256 of a manifest's entries but for this digest."""
    return hashlib.sha256(json.dumps(entries, sort_keys=True).encode()).hexdigest()


def _digests(folder: Path) -> dict[str, str]:
    """Returns the SHA-256 of every file beneath a folder but the manifest, by relative path."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path != folder / MANIFEST_FILE:
            _forget(path)
            found[path.relative_to(folder).as_posix()] = digests.of_file(path)
    return found


def _forget(path: Path) -> None:
    """Takes a file out of the page cache: what is on the disk counts, not what is in memory."""
    if not hasattr(os, "posix_fadvise"):
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        # Some file systems have no such cache.
        with contextlib.suppress(OSError):
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(handle)
