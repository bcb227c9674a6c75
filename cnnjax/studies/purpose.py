"""Whether a folder can hold a study or a search: it may not hold something else."""

from collections.abc import Iterable
from pathlib import Path

from cnnjax.studies.folder import STUDY_FILE, StudyFolder
from cnnjax.studies.search.journal import JOURNAL
from cnnjax.studies.study import Study
from cnnjax.training.errors import RunFolderError
from cnnjax.training.folder.names import RUN_FILE

_REMEDY = "give another folder"


def check_for_study(workdir: Path, study: Study, names: Iterable[str]) -> None:
    """Refuses a folder that holds a run, a search, or a study of other runs; nothing is written.

    Args:
        workdir: the folder, which need not exist.
        study: the study.
        names: of its runs.

    Raises:
        RunFolderError: the folder holds something else.
    """
    _check_for_run(workdir)
    if (workdir / JOURNAL).exists():
        raise RunFolderError(f"workdir: {workdir} holds a search, not a study; {_REMEDY}")
    folder = StudyFolder(workdir)
    before, question = set(folder.costs()), folder.question()
    # A question may be worded anew, and a study may grow.
    if before and question != study.question and before.isdisjoint(names):
        raise RunFolderError(
            f"workdir: {workdir} holds another study, which asks {question!r} and has none of the "
            f"runs of this one, which asks {study.question!r}; {_REMEDY}"
        )


def check_for_search(workdir: Path) -> None:
    """Refuses a folder that holds a run or a study; nothing is written.

    Args:
        workdir: the folder, which need not exist.

    Raises:
        RunFolderError: the folder holds something else.
    """
    _check_for_run(workdir)
    if (workdir / STUDY_FILE).exists():
        raise RunFolderError(f"workdir: {workdir} holds a study, not a search; {_REMEDY}")


def _check_for_run(workdir: Path) -> None:
    if (workdir / RUN_FILE).exists():
        raise RunFolderError(f"workdir: {workdir} holds a run; {_REMEDY}")
