"""Which of the checkpoints in a folder are taken."""

import shutil

import numpy as np
import pytest

from cnnjax.training.errors import CheckpointError
from cnnjax.training.folder.checkpoints import Checkpoints
from cnnjax.training.folder.manifest import write_manifest
from tests.helpers.records import forge_record, make_owner, make_record
from tests.training.folder.test_checkpoints import state_at


@pytest.fixture
def checkpoints(tmp_path):
    made = Checkpoints(tmp_path / "checkpoints", owner=make_owner())
    for step in (1, 2):
        made.save(step, state_at(step), make_record())
    return made


def copy_of_another_run(checkpoints, step, **run):
    """Puts a checkpoint of another run into the folder."""
    others = Checkpoints(checkpoints.folder.parent / "others")
    others.save(step, state_at(step), make_record(**run), score=1.0)
    shutil.copytree(others.path(step), checkpoints.path(step))


@pytest.mark.parametrize(
    ("run", "message"),
    [
        ({"run_id": "1" * 32}, f"it was saved by run {'1' * 32}, and this is run {'0' * 32}"),
        ({"seed": 1}, "it was saved by a run of another configuration than config.json describes"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(checkpoints, run, message):
    copy_of_another_run(checkpoints, 3, **run)
    with pytest.raises(CheckpointError, match=f"checkpoint 3 in .* is another run's: {message}"):
        checkpoints.restore_newest(state_at(0))
    assert checkpoints.problem(3) == message
    assert checkpoints.best() is None
    assert checkpoints.steps() == [1, 2, 3]


def test_checkpoints_of_another_run_push_nothing_out_and_stay(checkpoints):
    for step in (7, 8, 9):
        copy_of_another_run(checkpoints, step, seed=1)
    for step in (3, 7):
        checkpoints.save(step, state_at(step), make_record())
    assert checkpoints.steps() == [2, 3, 7, 8, 9]
    assert checkpoints.problem(7) is None
    assert (checkpoints.folder / "damaged-00000007-0").is_dir()


@pytest.mark.slow
def test_any_file_that_orbax_cannot_read_leads_to_the_one_before(checkpoints, caplog, capfd):
    """Also where somebody made the manifest fit."""
    folder, kept = checkpoints.path(2), checkpoints.folder.parent / "kept"
    shutil.copytree(folder, kept)
    files = [path for path in sorted((folder / "arrays").rglob("*")) if path.is_file()]
    assert files
    outcomes = []
    for number, path in enumerate(files):
        contents = (b"", path.read_bytes()[: path.stat().st_size // 2], b"\xff" * 50)
        path.write_bytes(contents[number % 3])
        write_manifest(folder, make_owner(), 2)
        step, state = checkpoints.restore_newest(state_at(0))
        np.testing.assert_array_equal(state.params["c1"]["kernel"], np.full((3, 4), step))
        assert int(state.step) == step
        outcomes.append(step)
        shutil.rmtree(folder)
        shutil.copytree(kept, folder)
    # Of some files orbax needs nothing.
    assert outcomes.count(1) >= 4
    assert "checkpoint 2 in" in caplog.text and "falling back" in caplog.text
    assert "Traceback" not in capfd.readouterr().err


def test_arrays_without_any_of_their_files_lead_to_the_one_before(checkpoints):
    folder = checkpoints.path(2)
    shutil.rmtree(folder / "arrays")
    (folder / "arrays").mkdir()
    (folder / "arrays" / "x").write_text("x")
    write_manifest(folder, make_owner(), 2)
    step, state = checkpoints.restore_newest(state_at(0))
    assert (step, int(state.step)) == (1, 1)


@pytest.mark.parametrize("missing", ["environment", "config", "facts", "run_id"])
def test_a_record_without_an_entry_is_damage(checkpoints, missing):
    record = checkpoints.path(2) / "record.json"
    if missing in ("environment", "facts"):
        forge_record(checkpoints.path(2), **{missing: ...})
    else:
        record.write_text(record.read_text().replace(f'"{missing}"', '"x"'))
        write_manifest(checkpoints.path(2), make_owner(), 2)
    assert f"'{missing}' is missing" in checkpoints.problem(2)
    assert checkpoints.newest_verified() == 1
    assert checkpoints.best() is None


def test_nothing_is_saved_without_the_entries_of_a_record(checkpoints):
    with pytest.raises(ValueError, match="record: 'run_id' is missing"):
        checkpoints.save(3, state_at(3), {})


def test_other_names_in_the_folder_are_no_checkpoints(checkpoints):
    for name in ("²", "٣", "3", "000000003", "-0000003", "00000003x"):
        (checkpoints.folder / name).mkdir()
    assert checkpoints.steps() == [1, 2]
    assert checkpoints.newest_verified() == 2


def test_a_file_in_the_place_of_a_checkpoint_is_damage(checkpoints):
    checkpoints.path(3).write_text("x")
    step, _ = checkpoints.restore_newest(state_at(0))
    checkpoints.set_aside_after(step)
    assert (checkpoints.folder / "damaged-00000003-0").read_text() == "x"
    checkpoints.path(3).write_text("y")
    checkpoints.save(3, state_at(3), make_record())
    assert checkpoints.newest_verified() == 3


def test_links_in_the_folder_are_removed_and_not_followed(checkpoints, tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "a").write_text("kept")
    (checkpoints.folder / "incoming-00000003").symlink_to(precious)
    (checkpoints.folder / "replaced-00000001").symlink_to(precious / "a")
    checkpoints.save(3, state_at(3), make_record())
    assert checkpoints.steps() == [1, 2, 3]
    assert (precious / "a").read_text() == "kept"
    assert not list(checkpoints.folder.glob("incoming-*"))


def test_a_checkpoint_that_cannot_be_removed_is_reported(checkpoints, monkeypatch, caplog):
    checkpoints.save(3, state_at(3), make_record())

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("cnnjax.training.folder.checkpoints.remove", refuse)
    checkpoints.save(4, state_at(4), make_record())
    assert checkpoints.steps() == [1, 2, 3, 4]
    assert "checkpoint 1 cannot be removed" in caplog.text
