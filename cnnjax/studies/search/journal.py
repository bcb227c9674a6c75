"""Optuna's journal as a file: opened, compared with a search, and named where it is damaged."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cnnjax.studies.search.optuna_package import load_optuna
from cnnjax.training.errors import ConfigError, RunFolderError
from cnnjax.training.folder.differences import differences
from cnnjax.training.folder.write_errors import write_error

JOURNAL = "trials.log"
"""The journal, in the search's folder; Optuna's own tools read it too."""

_NAME, _DESCRIPTION = "search", "cnnjax.search"
"""The study's name in the journal, and the name of our description."""


def open_journal(workdir: Path, description: Mapping[str, Any], higher_is_better: bool) -> Any:
    """Returns Optuna's study in a folder, made if there is none.

    Args:
        workdir: the search's folder.
        description: what distinguishes the search from others, as JSON values.
        higher_is_better: the direction of its metric.

    Raises:
        RunFolderError: the journal is that of another search, is damaged, or cannot be written.
    """
    optuna = load_optuna()
    path = workdir / JOURNAL
    with readable(path):
        workdir.mkdir(parents=True, exist_ok=True)
        study = optuna.create_study(
            study_name=_NAME,
            storage=_storage(path),
            direction="maximize" if higher_is_better else "minimize",
            load_if_exists=True,
        )
        if _DESCRIPTION not in study.user_attrs:
            study.set_user_attr(_DESCRIPTION, dict(description))
        # What is there now: another process may have written its own in the same moment.
        _compare(path, study.user_attrs[_DESCRIPTION], description)
    return study


def _compare(path: Path, there: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    differing = [
        f"{key} is {before} there, {after} here" for key, before, after in differences(there, here)
    ]
    if differing:
        raise RunFolderError(
            f"workdir: {path} holds the trials of another search: {'; '.join(differing[:5])}; give "
            "another --workdir"
        )


def _storage(path: Path) -> Any:
    storages = load_optuna().storages
    lock = storages.journal.JournalFileSymlinkLock(str(path))
    if path.exists():
        lock.acquire()
        try:
            _remove_half_line(path)
        finally:
            lock.release()
    backend = storages.journal.JournalFileBackend(str(path), lock_obj=lock)
    return storages.JournalStorage(backend)


def _remove_half_line(path: Path) -> None:
    """Removes the last line where a full disk or a power failure has cut it."""
    with path.open("rb+") as file:
        content = file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            logging.getLogger(__name__).warning("%s: its last line was cut, and is removed", path)
            file.truncate(whole)


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Names a journal that cannot be used.

    Args:
        path: of the journal.

    Raises:
        RunFolderError: the block met a journal that is damaged, or cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise write_error(path.parent, error) from error
    except (ConfigError, RunFolderError):
        raise
    except (ValueError, KeyError, TypeError, AssertionError, IndexError) as error:
        raise RunFolderError(
            f"workdir: {path} is damaged ({type(error).__name__}: {error}); restore it from a "
            "copy, or search in another --workdir"
        ) from error
