"""The folder of a run: who may write to it, what it holds, and how it is read again.

`config.json` identifies the run. Its content is made and read by the code that made the run.
"""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from cnnjax.training.errors import RunFolderError
from cnnjax.training.folder.differences import differences
from cnnjax.training.folder.names import CONFIG_FILE, LOCK_FILE, RUN_FILE
from cnnjax.writing import write_json

FORMAT = 2
"""Version of what a run folder holds; folders of another one are refused."""

_PREFIXES = {"configuration": "config.", "python": "run."}


class RunIdentity(NamedTuple):
    """What identifies the run of a folder.

    Attributes:
        made_by: "configuration", or "python" for a run made of objects.
        values: JSON values that distinguish the run from others.
        parts: records of foreign parts, for the names of such parts in `values`.
    """

    made_by: str
    values: dict[str, Any]
    parts: list[dict[str, Any]]


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
    if (workdir / CONFIG_FILE).exists():
        there = read_identity(workdir)
        differing = _differences(there.values, identity.values, _PREFIXES[identity.made_by])
        if there.made_by != identity.made_by:
            differing = [f"it was made by {there.made_by}, this one by {identity.made_by}"]
        if differing:
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
        _check_writable(workdir)
        return True
    # Hidden files, such as the lock of an earlier attempt, do not count.
    if workdir.is_dir() and any(not path.name.startswith(".") for path in workdir.iterdir()):
        raise RunFolderError(f"workdir: {workdir} holds files but no run; give an empty folder")
    _check_writable(workdir)
    return False


def _check_writable(workdir: Path) -> None:
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


def read_identity(workdir: Path) -> RunIdentity:
    """Returns what identifies the run of a folder.

    Args:
        workdir: the folder.

    Raises:
        RunFolderError: there is no run, its description cannot be read, or the folder is of another
            form than this version writes.
    """
    path = workdir / CONFIG_FILE
    try:
        values = json.loads(path.read_text())
    except FileNotFoundError:
        raise RunFolderError(
            f"workdir: {workdir} holds no run ({CONFIG_FILE} is missing)"
        ) from None
    except (OSError, ValueError) as error:
        raise RunFolderError(f"workdir: {path} cannot be read: {error}") from None
    found = values.get("format") if isinstance(values, dict) else None
    if found != FORMAT:
        raise RunFolderError(
            f"workdir: {workdir} holds a run of form {found or 'before 2'}, which this version of "
            f"cnnjax does not read (it reads form {FORMAT}); use the version that made it, or "
            "start a new run in another folder"
        )
    try:
        return RunIdentity(values["made_by"], values["run"], values["parts"])
    except KeyError as error:
        raise RunFolderError(f"workdir: {path} is damaged: {error} is missing") from None


def start_run(workdir: Path, identity: RunIdentity, facts: dict[str, Any]) -> None:
    """Makes the folder and writes the facts of a start.

    Args:
        workdir: the run's folder.
        identity: written to `config.json` at the first start.
        facts: JSON values for `run.json`; those of earlier starts move to its `earlier_starts`.
    """
    workdir.mkdir(parents=True, exist_ok=True)
    if not (workdir / CONFIG_FILE).exists():
        made_by, values, parts = identity
        description = {"format": FORMAT, "made_by": made_by, "run": values, "parts": parts}
        write_json(workdir / CONFIG_FILE, description)
    earlier = read_run_facts(workdir)
    history = earlier.pop("earlier_starts", [])
    if earlier:
        history = [*history, earlier]
    started = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    write_json(workdir / RUN_FILE, {**facts, "started": started, "earlier_starts": history})


def read_run_facts(workdir: Path) -> dict[str, Any]:
    """Returns the values of `run.json`; an empty mapping if there is none.

    Args:
        workdir: the run's folder.
    """
    path = workdir / RUN_FILE
    return json.loads(path.read_text()) if path.exists() else {}


@contextmanager
def locked(workdir: Path) -> Iterator[None]:
    """Keeps other processes out of a folder; the lock ends with the process, however that ends.

    Args:
        workdir: the folder, made if it does not exist.

    Raises:
        RunFolderError: another process holds the lock.
    """
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        lock = (workdir / LOCK_FILE).open("w")
    except OSError as error:
        raise RunFolderError(
            f"workdir: {workdir} cannot be written: {error}; choose another --workdir"
        ) from error
    with lock as file:
        try:
            # The system releases this lock when the process ends, also when it is killed.
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunFolderError(
                f"workdir: {workdir} is in use by another process; wait for it or stop it"
            ) from None
        yield
