import os

import pytest

from cnnjax.training.errors import FolderInUse, FolderWriteError, RunFolderError
from cnnjax.training.folder.lock import locked


def test_a_folder_in_use_is_refused(tmp_path):
    with (
        locked(tmp_path),
        pytest.raises(FolderInUse, match="in use by another process"),
        locked(tmp_path),
    ):
        pass
    with locked(tmp_path):
        assert (tmp_path / ".lock").exists()


@pytest.mark.parametrize("target", ["precious", "missing", ".lock"])
def test_a_link_in_its_place_is_not_followed(tmp_path, target):
    run = tmp_path / "run"
    run.mkdir()
    (tmp_path / "precious").write_text("kept")
    (run / ".lock").symlink_to(run / target if target == ".lock" else tmp_path / target)
    with pytest.raises(RunFolderError, match=r"\.lock is a link, .* remove it"), locked(run):
        pass
    assert (tmp_path / "precious").read_text() == "kept"
    assert not (tmp_path / "missing").exists()


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path, make):
    make(tmp_path / ".lock")
    with pytest.raises(RunFolderError, match="instead of a file; remove it"), locked(tmp_path):
        pass


def test_what_a_lock_file_holds_stays(tmp_path):
    (tmp_path / ".lock").write_text("kept")
    with locked(tmp_path):
        pass
    assert (tmp_path / ".lock").read_text() == "kept"


@pytest.mark.parametrize(
    ("code", "kind", "message"),
    [
        (28, FolderWriteError, "cannot be written now: No space left on device; .* make room"),
        (30, RunFolderError, "cannot be written: Read-only file system; choose another --workdir"),
    ],
)
def test_a_disk_that_takes_no_lock_is_reported(tmp_path, monkeypatch, code, kind, message):
    def fail(*arguments, **options):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "open", fail)
    with pytest.raises(RunFolderError, match=message) as raised, locked(tmp_path):
        pass
    assert type(raised.value) is kind


@pytest.mark.parametrize("name", ["a" * 300, "/".join(["a" * 200] * 25)])
def test_a_name_that_is_too_long_is_reported(tmp_path, name):
    with pytest.raises(RunFolderError, match="File name too long"), locked(tmp_path / name):
        pass
