"""The digests of a checkpoint's files, by which damage is found.

Orbax 0.12 restores flipped bits without noticing: a manifest of SHA-256 digests is written with
each checkpoint, and verified before the checkpoint is read.
"""

import hashlib
import json
import os
from pathlib import Path

from cnnjax.training.folder.names import MANIFEST_FILE


def write_manifest(folder: Path) -> None:
    """Writes the digests of all files beneath a folder into its manifest.

    Args:
        folder: the checkpoint's folder, complete but for the manifest.
    """
    # Not written aside: the whole folder gets its name only after this file.
    (folder / MANIFEST_FILE).write_text(json.dumps(_digests(folder), indent=2))


def find_damage(folder: Path) -> str | None:
    """Returns what is wrong with the bytes beneath a folder, in words; None if nothing is.

    Args:
        folder: the checkpoint's folder.
    """
    try:
        manifest = json.loads((folder / MANIFEST_FILE).read_text())
    except (OSError, ValueError):
        return "its manifest cannot be read"
    try:
        digests = _digests(folder)
    except OSError as error:
        return f"it cannot be read: {error}"
    changed = sorted(name for name in manifest if digests.get(name) != manifest[name])
    return f"{changed[0]} is missing or changed" if changed else None


def _digests(folder: Path) -> dict[str, str]:
    """Returns the SHA-256 of every file beneath a folder but the manifest, by relative path."""
    digests = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path != folder / MANIFEST_FILE:
            with path.open("rb") as file:
                if hasattr(os, "posix_fadvise"):
                    # What is on the disk counts, not what is still in memory.
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            digests[path.relative_to(folder).as_posix()] = digest
    return digests
