"""The record of a checkpoint: the JSON values that belong to its state."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cnnjax.training.folder.json_files import (
    COUNT,
    NUMBER,
    NUMBERS,
    OBJECT,
    RUN_ID,
    DamagedFile,
    Table,
    find_problem,
    optional,
    read_json,
)
from cnnjax.training.folder.ownership import CONFIG_TABLE, Owner, identity_of

RECORD_TABLE: Table = {
    "step": COUNT,
    "score": optional(NUMBER),
    "metrics": optional(NUMBERS),
    "run_id": RUN_ID,
    "config": OBJECT,
    "facts": OBJECT,
    "environment": OBJECT,
}
"""The entries of a record.

`config` is what `config.json` holds, and `facts` what `run.json` holds of the start that saved the
checkpoint: both files can be made anew from them.
"""


def check_record(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns values that are to be saved as a record.

    Args:
        values: the entries.

    Raises:
        ValueError: an entry is missing, or of another kind.
    """
    if problem := _find_problem(values):
        raise ValueError(f"record: {problem}")
    return dict(values)


def read_record(path: Path) -> dict[str, Any]:
    """Returns the values of a record.

    Args:
        path: of the file.

    Raises:
        FileNotFoundError: there is no such file.
        DamagedFile: it does not hold a record.
        RunFolderError: it may not be read.
    """
    values = read_json(path, RECORD_TABLE)
    if problem := _find_problem(values):
        raise DamagedFile(path, problem)
    return values


def owner_of(record: Mapping[str, Any]) -> Owner:
    """Returns the run that saved a record.

    Args:
        record: its values.
    """
    return Owner(identity_of(record["config"]).digest, record["run_id"])


def _find_problem(values: Mapping[str, Any]) -> str | None:
    if problem := find_problem(values, RECORD_TABLE):
        return problem
    problem = find_problem(values["config"], CONFIG_TABLE)
    return f"in 'config', {problem}" if problem else None
