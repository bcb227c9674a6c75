"""Runs whose own files are damaged: they resume, from what their checkpoints record."""

import json
import os
import shutil

import jax
import numpy as np
import pytest

from cnnjax import inference, recipes, training
from cnnjax.training.folder import run_folder
from cnnjax.training.folder.check import check_folder
from cnnjax.training.folder.checkpoints import Checkpoints
from tests.helpers.damages import CONTENTS
from tests.helpers.records import forge_record
from tests.training.folder.test_checkpoints import state_at

CONFIG, RUN = "config.json", "run.json"
FILES = (CONFIG, RUN)


@pytest.fixture
def workdir(finished, tmp_path):
    """A copy of a finished run."""
    return shutil.copytree(finished[0], tmp_path / "run")


def damage(path, how):
    path.unlink()
    if how == "folder":
        path.mkdir()
        (path / "a").write_text("a")
    elif how == "pipe":
        os.mkfifo(path)
    elif how != "missing":
        path.write_bytes(CONTENTS[how])


@pytest.mark.parametrize("how", ["halved", "list", "folder", "pipe", "missing"])
@pytest.mark.parametrize("names", [(CONFIG,), (RUN,), FILES], ids="+".join)
def test_a_run_resumes_and_its_damaged_files_are_made_anew(
    workdir, tiny_config, train_config, finished, caplog, names, how
):
    before = {name: json.loads((workdir / name).read_text()) for name in FILES}
    for name in names:
        damage(workdir / name, how)
    assert train_config(tiny_config, workdir).metrics == finished[1].metrics
    after = {name: json.loads((workdir / name).read_text()) for name in FILES}
    assert after[CONFIG] == before[CONFIG]
    for name in ("run_id", "identity", "model", "dataset"):
        assert after[RUN][name] == before[RUN][name]
    assert len(after[RUN]["earlier_starts"]) == 1
    assert after[RUN]["earlier_starts"][0]["started"] == before[RUN]["started"]
    if names != (CONFIG,) or how != "missing":
        assert set(after[RUN]["rebuilt"]) <= set(names)
    for name in names:
        assert name in caplog.text and "checkpoint 6 records" in caplog.text
        assert (workdir / f"damaged-{name}-0").exists() == (how != "missing")
    assert train_config(tiny_config, workdir).step == 6


def test_a_network_is_read_beside_damaged_files_and_nothing_is_changed(workdir, caplog):
    for name in FILES:
        (workdir / name).write_bytes(b"")
    assert inference.load(workdir).step == 6
    assert f"{CONFIG} is damaged: it is empty: checkpoint 6 records what it held" in caplog.text
    assert [(workdir / name).read_bytes() for name in FILES] == [b"", b""]


def test_the_file_of_another_run_is_not_taken(workdir, tiny_config, train_config, tmp_path, caplog):
    number = json.loads((workdir / RUN).read_text())["run_id"]
    other = run_folder.RunIdentity("python", {"seed": 1}, [])
    run_folder.start_run(tmp_path / "other", other, {})
    shutil.copy(tmp_path / "other" / RUN, workdir / RUN)
    train_config(tiny_config, workdir)
    assert f"{RUN} is that of another run" in caplog.text
    assert json.loads((workdir / RUN).read_text())["run_id"] == number


def test_a_checkpoint_copied_from_another_run_is_refused_and_left(
    workdir, tiny_config, train_config, tmp_path
):
    other = recipes.parse_config(tiny_config.model_dump() | {"seed": 1, "epochs": 4})
    train_config(other, tmp_path / "other")
    copied = workdir / "checkpoints" / "00000008"
    shutil.copytree(tmp_path / "other" / "checkpoints" / "00000008", copied)
    for act in (lambda: train_config(tiny_config, workdir), lambda: inference.load(workdir)):
        with pytest.raises(training.CheckpointError, match=r"checkpoint 8 .* is another run's"):
            act()
    with pytest.raises(training.CheckpointError, match="checkpoint 8 is another run's"):
        inference.load(workdir, step=8)
    assert copied.is_dir()
    shutil.move(copied, tmp_path)
    assert train_config(tiny_config, workdir).step == 6


def test_the_same_configuration_started_twice_is_two_runs(
    workdir, tiny_config, train_config, tmp_path
):
    train_config(tiny_config, tmp_path / "again", extend_to=4)
    copied = workdir / "checkpoints" / "00000008"
    shutil.copytree(tmp_path / "again" / "checkpoints" / "00000008", copied)
    with pytest.raises(training.CheckpointError, match=r"saved by run [0-9a-f]{32}, and this is"):
        train_config(tiny_config, workdir)


def test_a_record_without_the_environment_leads_to_the_checkpoint_before(
    workdir, tiny_config, train_config, finished
):
    forge_record(workdir / "checkpoints" / "00000006", environment=...)
    assert train_config(tiny_config, workdir).metrics == finished[1].metrics
    events = training.read_events(workdir)
    assert [event["damaged"] for event in events if event["event"] == "resumed"] == [[6]]


def test_arrays_that_orbax_cannot_read_lead_to_the_checkpoint_before(
    workdir, tiny_config, train_config, finished
):
    folder = workdir / "checkpoints" / "00000006"
    (folder / "arrays" / "manifest.ocdbt").write_bytes(b"x" * 20)
    forge_record(folder)
    assert inference.load(workdir).step == 4
    result = train_config(tiny_config, workdir)
    assert (workdir / "checkpoints" / "damaged-00000006-0").is_dir()
    same = jax.tree.map(np.array_equal, result.variables, finished[1].variables)
    assert all(jax.tree.leaves(same))


@pytest.mark.slow
def test_nothing_is_moved_where_orbax_can_read_none(workdir, tiny_config, train_config):
    for folder in (workdir / "checkpoints").iterdir():
        (folder / "arrays" / "manifest.ocdbt").write_bytes(b"x" * 20)
        forge_record(folder)
    with pytest.raises(training.CheckpointError, match=r"is damaged \(steps \[6, 4, 2\]\)"):
        train_config(tiny_config, workdir)
    assert Checkpoints(workdir / "checkpoints").steps() == [2, 4, 6]


def start(workdir):
    identity = run_folder.RunIdentity("python", {"seed": 1}, [])
    return identity, run_folder.start_run(workdir, identity, {"commit": "abc"})


def test_without_a_checkpoint_the_other_file_knows_the_run(tmp_path):
    identity, started = start(tmp_path)
    (tmp_path / CONFIG).write_bytes(b"")
    assert check_folder(tmp_path, identity)
    again = run_folder.start_run(tmp_path, identity, {})
    assert again["run_id"] == started["run_id"]
    assert run_folder.read_identity(tmp_path) == identity
    (tmp_path / RUN).write_bytes(b"")
    assert run_folder.start_run(tmp_path, identity, {})["run_id"] != started["run_id"]


def test_without_a_checkpoint_two_damaged_files_are_refused(tmp_path):
    identity, _ = start(tmp_path)
    for name in FILES:
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(training.RunFolderError, match=r"empty, and no sound checkpoint records"):
        check_folder(tmp_path, identity)


def test_a_run_that_is_neither_here_nor_there_keeps_its_number(tmp_path):
    """Killed after its first checkpoint, with both files gone."""
    identity, started = start(tmp_path)
    Checkpoints(tmp_path / "checkpoints").save(1, state_at(1), {**started, "environment": {}})
    for name in FILES:
        (tmp_path / name).unlink()
    assert run_folder.read_identity(tmp_path) == identity
    assert run_folder.find_owner(tmp_path, identity).run_id == started["run_id"]
