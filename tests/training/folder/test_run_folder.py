import json
import os

import pytest

from cnnjax import training
from cnnjax.training.errors import RunFolderError
from cnnjax.training.folder import run_folder

CONFIG = training.RunConfig()


def test_a_new_folder_is_no_run_and_is_not_made_by_checking(tmp_path):
    workdir = tmp_path / "a" / "b"
    assert run_folder.check_folder(workdir, CONFIG) is False
    assert not (tmp_path / "a").exists()


def test_a_started_run_is_known_again(tmp_path):
    run_folder.start_run(tmp_path, CONFIG, {"commit": "abc"})
    assert run_folder.check_folder(tmp_path, CONFIG) is True
    assert run_folder.read_config(tmp_path) == CONFIG


def test_another_configuration_is_refused_with_what_differs(tmp_path):
    run_folder.start_run(tmp_path, CONFIG, {})
    before = (tmp_path / "config.json").read_bytes()
    other = training.parse_config({"optimizer": {"learning_rate": 0.5}, "epochs": 11})
    with pytest.raises(RunFolderError) as raised:
        run_folder.check_folder(tmp_path, other)
    assert "config.optimizer.learning_rate is 0.01 there, 0.5 was asked for" in str(raised.value)
    assert "--extend_to makes a run longer" in str(raised.value)
    assert (tmp_path / "config.json").read_bytes() == before


def test_a_folder_of_other_files_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(RunFolderError, match="holds files but no run"):
        run_folder.check_folder(tmp_path, CONFIG)


def test_a_file_in_the_way_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunFolderError, match="is not a folder"):
        run_folder.check_folder(tmp_path / "file" / "run", CONFIG)


def test_a_folder_that_is_not_writable_is_refused(tmp_path, monkeypatch):
    # Root may write anywhere: what the system answers others is put in its place.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(RunFolderError, match="is not writable; choose another --workdir"):
        run_folder.check_folder(tmp_path / "run", CONFIG)


def test_a_damaged_configuration_is_told(tmp_path):
    (tmp_path / "config.json").write_text('{"epochs": ')
    with pytest.raises(RunFolderError, match="cannot be read"):
        run_folder.read_config(tmp_path)
    (tmp_path / "config.json").write_text('{"epochs": "many"}')
    with pytest.raises(RunFolderError, match="is not a configuration"):
        run_folder.read_config(tmp_path)


def test_starting_again_keeps_what_the_first_start_said(tmp_path):
    run_folder.start_run(tmp_path, CONFIG, {"commit": "abc"})
    run_folder.start_run(tmp_path, CONFIG, {"commit": "def"})
    facts = json.loads((tmp_path / "run.json").read_text())
    assert facts["commit"] == "def"
    assert [start["commit"] for start in facts["earlier_starts"]] == ["abc"]


def test_a_folder_in_use_is_refused(tmp_path):
    with (
        run_folder.locked(tmp_path),
        pytest.raises(RunFolderError, match="in use by another process"),
        run_folder.locked(tmp_path),
    ):
        pass
    with run_folder.locked(tmp_path):
        assert (tmp_path / ".lock").exists()
