"""The folder of a run: what it holds, and how it is read again.

`config.json` identifies the run. Its content is made and read by the code that made the run.
`run.json` has the run's random number and what is known of each start. Where one of them is
damaged, it is made anew from the record of the newest checkpoint.
"""

import logging
import os
import time
from pathlib import Path
from typing import Any

from cnnjax.training.errors import RunFolderError
from cnnjax.training.folder.json_files import (
    DIGEST,
    OBJECTS,
    RUN_ID,
    DamagedFile,
    Table,
    find_problem,
    optional,
    read_json,
)
from cnnjax.training.folder.names import CONFIG_FILE, RUN_FILE
from cnnjax.training.folder.ownership import (
    CONFIG_TABLE,
    FORMAT,
    Owner,
    RunIdentity,
    identity_of,
    new_run_id,
)
from cnnjax.training.folder.record import owner_of
from cnnjax.training.folder.recovery import newest_record
from cnnjax.training.folder.setting_aside import set_aside
from cnnjax.training.folder.write_errors import write_error
from cnnjax.writing import write_json

_logger = logging.getLogger(__name__)

_RUN_TABLE: Table = {"run_id": RUN_ID, "identity": DIGEST, "earlier_starts": optional(OBJECTS)}
"""The entries that `run.json` must have."""


class NoRun(RunFolderError):
    """A folder has neither a description of a run nor checkpoints that record one."""


class OtherForm(RunFolderError):
    """A folder is of another form than this version writes.

    Attributes:
        form: the number of its form, in words.
    """

    def __init__(self, workdir: Path, form: str):
        super().__init__(
            f"workdir: {workdir} holds a run of form {form}, which this version of "
            f"cnnjax does not read (it reads form {FORMAT}); use the version that made it, or "
            "start a new run in another folder"
        )
        self.form = form


def read_identity(workdir: Path) -> RunIdentity:
    """Returns what identifies the run of a folder.

    Where `config.json` is damaged, it is what the newest sound checkpoint records.

    Args:
        workdir: the folder.

    Raises:
        RunFolderError: there is no run, its description cannot be read, or the folder is of another
            form than this version writes.
    """
    path = workdir / CONFIG_FILE
    try:
        return _read_description(workdir)
    except FileNotFoundError:
        problem = f"{path} is missing"
        error = NoRun(f"workdir: {workdir} holds no run ({CONFIG_FILE} is missing)")
    except DamagedFile as damaged:
        problem = str(damaged)
        error = RunFolderError(
            f"workdir: {damaged}, and no sound checkpoint records what it held; restore it from a "
            "copy, or start a new run in another folder"
        )
    except OtherForm as other:
        problem, error = f"{path} names form {other.form}", other
    recorded = newest_record(workdir, _owner_by_facts(workdir))
    if recorded is None:
        raise error
    _logger.warning("%s: checkpoint %d records what it held", problem, recorded["step"])
    return identity_of(recorded["config"])


def _read_description(workdir: Path) -> RunIdentity:
    path = workdir / CONFIG_FILE
    values = read_json(path, {})
    found = values.get("format")
    if found != FORMAT and values:
        raise OtherForm(workdir, f"{(found or 'before 2')!s:.20}")
    if problem := find_problem(values, CONFIG_TABLE):
        raise DamagedFile(path, problem)
    return identity_of(values)


def find_owner(workdir: Path, identity: RunIdentity) -> Owner:
    """Returns the run that the folder's checkpoints must belong to.

    Args:
        workdir: the run's folder.
        identity: that of the run.

    Returns:
        Its owner; where the folder is new, and its number is not made yet, without the number.
    """
    digest = identity.digest
    facts, problem = _read_facts(workdir, digest)
    if problem is None:
        return Owner(digest, facts["run_id"] if facts else None)
    recorded = newest_record(workdir, Owner(digest, None))
    _logger.warning(
        "%s: %s",
        problem,
        f"checkpoint {recorded['step']} records the run's number"
        if recorded
        else "the run gets a new number",
    )
    return Owner(digest, None) if recorded is None else owner_of(recorded)


def start_run(
    workdir: Path, identity: RunIdentity, facts: dict[str, Any], owner: Owner | None = None
) -> dict[str, Any]:
    """Makes the folder and writes the facts of a start.

    A damaged file of these is renamed to `damaged-…` and made anew.

    Args:
        workdir: the run's folder.
        identity: written to `config.json` at the first start.
        facts: JSON values for `run.json`; those of earlier starts move to its `earlier_starts`.
        owner: as `find_owner` returned it; None to find it.

    Returns:
        Values for the record of each checkpoint: `run_id`, `config` and `facts`.

    Raises:
        FolderWriteError: the disk is full.
        RunFolderError: the folder cannot be written.
    """
    owner = owner or find_owner(workdir, identity)
    started = {**facts, "started": time.strftime("%Y-%m-%dT%H:%M:%S%z")}
    run_id = owner.run_id or new_run_id()
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        rebuilt = _write_missing_description(workdir, identity)
        earlier, problem = _read_facts(workdir, owner.identity)
        if problem is not None:
            rebuilt.append(RUN_FILE)
            recorded = newest_record(workdir, owner)
            earlier = {} if recorded is None else recorded["facts"]
            _set_aside(workdir / RUN_FILE)
        if rebuilt:
            started["rebuilt"] = rebuilt
        history = earlier.pop("earlier_starts", None) or []
        for name in _RUN_TABLE:
            earlier.pop(name, None)
        history = [*history, earlier] if earlier else history
        number = {"run_id": run_id, "identity": owner.identity}
        write_json(workdir / RUN_FILE, {**started, **number, "earlier_starts": history})
    except OSError as error:
        raise write_error(workdir, error) from error
    return {"run_id": run_id, "config": identity.description(), "facts": started}


def _write_missing_description(workdir: Path, identity: RunIdentity) -> list[str]:
    """Writes `config.json` where it is not whole; returns its name if there was a damaged one."""
    path = workdir / CONFIG_FILE
    rebuilt = []
    try:
        _read_description(workdir)
        return rebuilt
    except FileNotFoundError:
        # Only a folder that was started before has this file.
        if os.path.lexists(workdir / RUN_FILE):
            rebuilt.append(CONFIG_FILE)
    except (DamagedFile, OtherForm):
        rebuilt.append(CONFIG_FILE)
        _set_aside(path)
    write_json(path, identity.description())
    return rebuilt


def _set_aside(path: Path) -> None:
    if os.path.lexists(path):
        _logger.warning("%s is written anew; the old one is %s", path, set_aside(path).name)


def read_run_facts(workdir: Path) -> dict[str, Any]:
    """Returns the values of `run.json`; an empty mapping if there is none.

    Args:
        workdir: the run's folder.

    Raises:
        RunFolderError: the file is damaged, or may not be read.
    """
    try:
        return read_json(workdir / RUN_FILE, _RUN_TABLE)
    except FileNotFoundError:
        return {}
    except DamagedFile as damaged:
        raise RunFolderError(f"workdir: {damaged}") from None


def _read_facts(workdir: Path, digest: str) -> tuple[dict[str, Any], str | None]:
    """Returns the values of `run.json`, and why they cannot be used if so.

    It is a problem, too, that the file is missing where there are checkpoints of this run.
    """
    path = workdir / RUN_FILE
    try:
        facts = read_json(path, _RUN_TABLE)
    except FileNotFoundError:
        lost = newest_record(workdir, Owner(digest, None)) is not None
        return {}, f"{path} is missing" if lost else None
    except DamagedFile as damaged:
        return {}, str(damaged)
    if facts["identity"] != digest:
        return {}, f"{path} is that of another run"
    return facts, None


def _owner_by_facts(workdir: Path) -> Owner | None:
    """Returns the run that `run.json` names; None if it names none."""
    try:
        facts = read_json(workdir / RUN_FILE, _RUN_TABLE)
    except (FileNotFoundError, DamagedFile, RunFolderError):
        return None
    return Owner(facts["identity"], facts["run_id"])


def knows_run(workdir: Path, digest: str) -> bool:
    """Returns whether `run.json` is that of a run.

    Args:
        workdir: the run's folder.
        digest: that of the run's identity.
    """
    try:
        facts, problem = _read_facts(workdir, digest)
    except RunFolderError:
        return False
    return problem is None and bool(facts)
