"""Whether a folder can hold a run, found out without writing anything."""

import contextlib
import os
from pathlib import Path
from typing import Any

from cnnjax.training.errors import RunFolderError
from cnnjax.training.folder.differences import differences
from cnnjax.training.folder.ownership import RunIdentity
from cnnjax.training.folder.run_folder import NoRun, OtherForm, knows_run, read_identity

_PREFIXES = {"configuration": "config.", "python": "run."}


def check_folder(workdir: Path, identity: RunIdentity) -> bool:
    """Checks, without writing anything, that a folder can hold a run.

    Args:
        workdir: the folder, which may not exist yet.
        identity: that of the run.

    Returns:
        Whether the folder already holds this run, which is then resumed.

    Raises:
        RunFolderError: the folder cannot be made or written, or holds something else.
    """
    try:
        return _check_folder(workdir, identity)
    # The name is too long, a part of the path may not be searched, ...
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise RunFolderError(
            f"workdir: {workdir!s:.200} cannot be used: {reason}; choose another --workdir"
        ) from None


def _check_folder(workdir: Path, identity: RunIdentity) -> bool:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        os.lstat(workdir)
    try:
        there = read_identity(workdir)
    except OtherForm:
        raise
    except RunFolderError as error:
        if knows_run(workdir, identity.digest):
            # Without a checkpoint, `run.json` is what knows the run.
            there = identity
        elif isinstance(error, NoRun):
            # Hidden files, such as the lock of an earlier attempt, do not count.
            if workdir.is_dir() and any(not p.name.startswith(".") for p in workdir.iterdir()):
                raise RunFolderError(
                    f"workdir: {workdir} holds files but no run; give an empty folder"
                ) from None
            check_writable(workdir)
            return False
        else:
            raise
    if differing := _identity_differences(there, identity):
        raise RunFolderError(
            f"workdir: {workdir} holds another run:\n  "
            + "\n  ".join(differing)
            + "\ngive the same run to resume it, or another folder to start a new one"
            + (
                "; extend_to makes a run longer"
                if any("epochs is" in line for line in differing)
                else ""
            )
        )
    check_writable(workdir)
    return True


def _identity_differences(there: RunIdentity, given: RunIdentity) -> list[str]:
    if there.made_by != given.made_by:
        return [f"it was made by {there.made_by}, this one by {given.made_by}"]
    return _differences(there.values, given.values, _PREFIXES[given.made_by])


def check_writable(workdir: Path) -> None:
    """Refuses a folder that cannot be made or written; nothing is written.

    Args:
        workdir: the folder, which may not exist yet.

    Raises:
        RunFolderError: it cannot; the message says why.
    """
    existing = workdir.absolute()
    # A dangling link counts as existing: no folder can be made in its place.
    while not os.path.lexists(existing):
        existing = existing.parent
    if not existing.is_dir():
        raise RunFolderError(f"workdir: {workdir} cannot be made, {existing} is not a folder")
    # For root, access() alone allows writing to read-only file systems.
    read_only = os.statvfs(existing).f_flag & os.ST_RDONLY
    if read_only or not os.access(existing, os.W_OK | os.X_OK):
        raise RunFolderError(f"workdir: {existing} is not writable; choose another --workdir")


def _differences(old: dict[str, Any], new: dict[str, Any], path: str) -> list[str]:
    return [
        f"{name} is {_short(there)} there, {_short(here)} was given"
        for name, there, here in differences(old, new, path)
    ]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}…"
