"""Runs that are started, or resumed, where nothing can be written any more."""

import errno
import json
import os
import shutil

import pytest

from cnnjax import training
from cnnjax.commands import launch
from cnnjax.training.folder import run_folder
from cnnjax.training.folder.checkpoints import Checkpoints
from cnnjax.training.folder.ownership import RunIdentity
from tests.helpers import disks

RUN = RunIdentity("python", {"seed": 0}, [])


@pytest.fixture
def full(monkeypatch):
    """Makes every new file fail as on a full disk: a function that ends it."""
    original = os.open

    def fail(path, flags, *arguments, **options):
        if flags & os.O_CREAT:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        return original(path, flags, *arguments, **options)

    return lambda: monkeypatch.setattr(os, "open", fail)


def test_a_start_without_room_is_reported_and_can_be_repeated(tmp_path, full, monkeypatch):
    full()
    with pytest.raises(training.FolderWriteError, match=r"No space left on device.*make room"):
        run_folder.start_run(tmp_path, RUN, {})
    monkeypatch.undo()
    assert run_folder.start_run(tmp_path, RUN, {})["run_id"]


@pytest.mark.parametrize("damaged", [None, "config.json", "run.json"])
def test_resuming_without_room_is_reported_and_loses_nothing(tmp_path, full, monkeypatch, damaged):
    started = run_folder.start_run(tmp_path, RUN, {"commit": "abc"})
    if damaged:
        (tmp_path / damaged).write_text("{")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    full()
    with pytest.raises(training.FolderWriteError, match="what was saved is as it was"):
        run_folder.start_run(tmp_path, RUN, {})
    monkeypatch.undo()
    assert set(before.values()) == {path.read_bytes() for path in tmp_path.iterdir()}
    again = run_folder.start_run(tmp_path, RUN, {})
    if damaged != "run.json":
        assert again["run_id"] == started["run_id"]


def test_a_run_on_a_disk_that_is_full_resumes_when_there_is_room(
    finished, tiny_config, train_config, tmp_path
):
    with disks.small_disk(tmp_path / "disk", "8m") as disk:
        workdir, filler = disk / "run", disk / "filler"
        shutil.copytree(finished[0], workdir)
        shutil.rmtree(workdir / "checkpoints" / "00000006")
        before = json.loads((workdir / "run.json").read_text())
        filler.write_bytes(bytes(shutil.disk_usage(disk).free))
        with pytest.raises(training.FolderWriteError, match=r"No space left on device.*make room"):
            train_config(tiny_config, workdir)
        assert json.loads((workdir / "run.json").read_text()) == before
        assert Checkpoints(workdir / "checkpoints").newest_verified() == 4
        filler.unlink()
        assert train_config(tiny_config, workdir).metrics == finished[1].metrics


@pytest.mark.parametrize(
    ("error", "code"),
    [(training.FolderWriteError("the disk"), 3), (training.RunFolderError("the folder"), 2)],
)
def test_a_full_disk_has_the_exit_code_of_a_run_that_could_not_go_on(
    monkeypatch, capsys, error, code
):
    def main(arguments):
        raise error

    monkeypatch.setattr(launch, "use_compile_cache", lambda: None)
    monkeypatch.setattr(launch.training, "keep_freed_memory", lambda: None)
    monkeypatch.setattr(launch.flags, "FLAGS", {"verbosity": type("Flag", (), {"present": 1})})
    with pytest.raises(SystemExit) as ended:
        launch._guarded(main, [])
    assert ended.value.code == code
    assert capsys.readouterr().err == f"error: {error}\n"
