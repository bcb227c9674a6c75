"""A folder holds one study, or one search, or one run."""

import pytest

from cnnjax import training
from cnnjax.studies import StudyFolder
from cnnjax.studies.cost import Cost
from cnnjax.studies.purpose import check_for_search, check_for_study
from cnnjax.training.errors import RunFolderError
from cnnjax.writing import write_json
from tests.studies.made_up import make_study


def test_folders_that_hold_something_else_are_refused(tmp_path):
    study = make_study()
    for check in (lambda folder: check_for_study(folder, study, ["a"]), check_for_search):
        check(tmp_path / "new")
        run = tmp_path / "run"
        run.mkdir(exist_ok=True)
        write_json(run / "run.json", {})
        with pytest.raises(RunFolderError, match="run holds a run; give another folder"):
            check(run)
    search = tmp_path / "search"
    search.mkdir()
    (search / "trials.log").write_text("")
    check_for_search(search)
    with pytest.raises(RunFolderError, match="search holds a search, not a study"):
        check_for_study(search, study, ["a"])


def test_another_study_in_the_folder_is_refused_and_one_that_grows_is_not(tmp_path):
    study = make_study()
    folder = StudyFolder(tmp_path / "study")
    folder.start(study, {"a": Cost(1, 1)})
    with pytest.raises(RunFolderError, match="study holds a study, not a search"):
        check_for_search(folder.workdir)
    other = make_study(question="Another question?")
    check_for_study(folder.workdir, study, ["b"])
    check_for_study(folder.workdir, other, ["a", "b"])
    with pytest.raises(
        training.RunFolderError, match=r"holds another study, which asks .* has none"
    ):
        check_for_study(folder.workdir, other, ["b"])
