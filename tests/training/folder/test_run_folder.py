import json
import os

import pytest

from cnnjax import inference, recipes
from cnnjax.training.errors import RunFolderError
from cnnjax.training.folder import run_folder


def identity_of(**values):
    """The identity of a run of a configuration."""
    config = recipes.parse_config(values)
    values = json.loads(json.dumps(config.model_dump()))
    return run_folder.RunIdentity("configuration", values, [])


RUN = identity_of()


def test_a_new_folder_is_no_run_and_is_not_made_by_checking(tmp_path):
    workdir = tmp_path / "a" / "b"
    assert run_folder.check_folder(workdir, RUN) is False
    assert not (tmp_path / "a").exists()


def test_a_started_run_is_known_again(tmp_path):
    run_folder.start_run(tmp_path, RUN, {"commit": "abc"})
    assert run_folder.check_folder(tmp_path, RUN) is True
    assert run_folder.read_identity(tmp_path) == RUN


def test_another_configuration_is_refused_with_what_differs(tmp_path):
    run_folder.start_run(tmp_path, RUN, {})
    before = (tmp_path / "config.json").read_bytes()
    other = identity_of(optimizer={"learning_rate": 0.5}, epochs=11)
    with pytest.raises(RunFolderError) as raised:
        run_folder.check_folder(tmp_path, other)
    rate = RUN.values["optimizer"]["learning_rate"]
    assert f"config.optimizer.learning_rate is {rate} there, 0.5 was given" in str(raised.value)
    assert "config.epochs is" in str(raised.value)
    assert "extend_to makes a run longer" in str(raised.value)
    assert (tmp_path / "config.json").read_bytes() == before


def test_a_folder_of_other_files_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(RunFolderError, match="holds files but no run"):
        run_folder.check_folder(tmp_path, RUN)


def test_a_file_in_the_way_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunFolderError, match="is not a folder"):
        run_folder.check_folder(tmp_path / "file" / "run", RUN)


def test_a_folder_that_is_not_writable_is_refused(tmp_path, monkeypatch):
    # Root may write anywhere, so the result that other users get is put in its place.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(RunFolderError, match="is not writable; choose another --workdir"):
        run_folder.check_folder(tmp_path / "run", RUN)


def test_a_run_made_otherwise_is_refused(tmp_path):
    run_folder.start_run(tmp_path, RUN, {})
    other = run_folder.RunIdentity("python", {"epochs": 1}, [])
    with pytest.raises(RunFolderError, match="it was made by configuration, this one by python"):
        run_folder.check_folder(tmp_path, other)


def test_an_object_of_another_run_is_named_as_the_runs(tmp_path):
    run_folder.start_run(tmp_path, run_folder.RunIdentity("python", {"seed": 0}, []), {})
    other = run_folder.RunIdentity("python", {"seed": 1}, [])
    with pytest.raises(RunFolderError, match=r"run\.seed is 0 there, 1 was given"):
        run_folder.check_folder(tmp_path, other)


def test_a_damaged_configuration_is_reported(tmp_path):
    path = tmp_path / "config.json"
    path.write_text('{"epochs": ')
    with pytest.raises(RunFolderError, match="cannot be read"):
        run_folder.read_identity(tmp_path)
    path.write_text(json.dumps({"format": run_folder.FORMAT, "run": {}, "parts": []}))
    with pytest.raises(RunFolderError, match="is damaged: 'made_by' is missing"):
        run_folder.read_identity(tmp_path)
    description = {"format": run_folder.FORMAT, "made_by": "configuration", "parts": []}
    path.write_text(json.dumps(description | {"run": {"epochs": "many"}}))
    with pytest.raises(RunFolderError, match="is not a configuration"):
        inference.load(tmp_path)


@pytest.mark.parametrize(
    ("values", "form"), [(RUN.values, "before 2"), ({"format": 3, **RUN.values}, "3"), ([], "b")]
)
def test_a_folder_of_another_form_is_refused(tmp_path, values, form):
    """Before forms had numbers, the file held the bare configuration."""
    (tmp_path / "config.json").write_text(json.dumps(values))
    message = rf"holds a run of form {form}.*it reads form 2.*; use the version that made it"
    for read in (
        lambda: run_folder.check_folder(tmp_path, RUN),
        lambda: run_folder.read_identity(tmp_path),
        lambda: inference.load(tmp_path),
    ):
        with pytest.raises(RunFolderError, match=message):
            read()
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


def test_no_description_is_no_run(tmp_path):
    with pytest.raises(RunFolderError, match=r"holds no run \(config.json is missing\)"):
        run_folder.read_identity(tmp_path)


def test_starting_again_keeps_the_facts_of_the_first_start(tmp_path):
    run_folder.start_run(tmp_path, RUN, {"commit": "abc"})
    run_folder.start_run(tmp_path, RUN, {"commit": "def"})
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
