"""The folder of a run: who may write to it, what it holds, and how it is read again."""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cnnjax.recipes.config import RunConfig, parse_config
from cnnjax.training.errors import ConfigError, RunFolderError

CONFIG_FILE = "config.json"
RUN_FILE = "run.json"
METRICS_FILE = "metrics.jsonl"
CHECKPOINTS = "checkpoints"


def check_folder(workdir: Path, config: RunConfig) -> bool:
    """Makes sure, without writing anything, that a run of this configuration can live in a folder.

    Returns:
        Whether the folder already holds this run, which is then resumed.

    Raises:
        RunFolderError: it cannot be made or written, or holds something else.
    """
    if (workdir / CONFIG_FILE).exists():
        differing = _differences(read_config(workdir).model_dump(), config.model_dump())
        if differing:
            raise RunFolderError(
                f"workdir: {workdir} holds a run of another configuration:\n  "
                + "\n  ".join(differing)
                + "\ngive the same configuration to resume it, or another folder to start a new run"
                + (
                    "; --extend_to makes a run longer"
                    if any("config.epochs" in line for line in differing)
                    else ""
                )
            )
        _check_writable(workdir)
        return True
    if workdir.is_dir() and any(not path.name.startswith(".") for path in workdir.iterdir()):
        raise RunFolderError(f"workdir: {workdir} holds files but no run; give an empty folder")
    _check_writable(workdir)
    return False


def _check_writable(workdir: Path) -> None:
    existing = workdir.absolute()
    while not os.path.lexists(existing):
        existing = existing.parent
    if not existing.is_dir():
        raise RunFolderError(f"workdir: {workdir} cannot be made, {existing} is not a folder")
    # access() alone does not know of read-only file systems that root runs into.
    read_only = os.statvfs(existing).f_flag & os.ST_RDONLY
    if read_only or not os.access(existing, os.W_OK | os.X_OK):
        raise RunFolderError(f"workdir: {existing} is not writable; choose another --workdir")


def _differences(old: dict[str, Any], new: dict[str, Any], path: str = "config.") -> list[str]:
    lines = []
    for key in new:
        if isinstance(new[key], dict) and isinstance(old.get(key), dict) and key != "overrides":
            lines += _differences(old[key], new[key], f"{path}{key}.")
        elif old.get(key) != new[key]:
            lines.append(f"{path}{key} is {old.get(key)!r} there, {new[key]!r} was asked for")
    return lines


def read_config(workdir: Path) -> RunConfig:
    """Returns the configuration of the run in a folder.

    Raises:
        RunFolderError: there is no run, or its configuration cannot be read.
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
    try:
        return parse_config(values)
    except ConfigError as error:
        raise RunFolderError(f"workdir: {path} is not a configuration: {error}") from None


def start_run(workdir: Path, config: RunConfig, facts: dict[str, Any]) -> None:
    """Makes the folder and writes what is known at the start.

    Args:
        workdir: the run's folder.
        config: written to `config.json` at the first start.
        facts: JSON values for `run.json`; those of earlier starts move to its `earlier_starts`.
    """
    workdir.mkdir(parents=True, exist_ok=True)
    if not (workdir / CONFIG_FILE).exists():
        write_json(workdir / CONFIG_FILE, config.model_dump())
    earlier = read_run_facts(workdir)
    history = earlier.pop("earlier_starts", [])
    if earlier:
        history = [*history, earlier]
    started = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    write_json(
        workdir / RUN_FILE,
        {
            "model": config.model.name,
            "dataset": config.data.name,
            "started": started,
            **facts,
            "earlier_starts": history,
        },
    )


def read_run_facts(workdir: Path) -> dict[str, Any]:
    """Returns what `run.json` holds; nothing if there is none."""
    path = workdir / RUN_FILE
    return json.loads(path.read_text()) if path.exists() else {}


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Writes a JSON file in full before it gets its name."""
    aside = path.with_name(f".{path.name}.incomplete")
    aside.write_text(json.dumps(values, indent=2) + "\n")
    os.replace(aside, path)


@contextmanager
def locked(workdir: Path) -> Iterator[None]:
    """Holds a folder against a second process; the lock goes with the process, however it ends.

    Raises:
        RunFolderError: another process holds it.
    """
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        lock = (workdir / ".lock").open("w")
    except OSError as error:
        raise RunFolderError(
            f"workdir: {workdir} cannot be written: {error}; choose another --workdir"
        ) from error
    with lock as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunFolderError(
                f"workdir: {workdir} is in use by another process; wait for it or stop it"
            ) from None
        yield
