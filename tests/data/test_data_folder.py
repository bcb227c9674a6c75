"""Preparing in the data folder: by one process at a time, and where it cannot be written."""

import errno
import os
import time

import numpy as np
import pytest

from cnnjax import data
from cnnjax.data import kept_arrays
from cnnjax.data.data_folder import preparing
from scripts import prepare_data
from tests.helpers.disks import small_disk
from tests.helpers.processes import run_python, start_python

LOAD = """
import sys
from cnnjax import data
print(len(data.load_arrays(data.dataset("digits"), "train", sys.argv[1])))
"""

HOLD = """
import sys, time
from pathlib import Path
from cnnjax.data.data_folder import preparing
with preparing(Path(sys.argv[1]), "digits"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.mark.process
def test_processes_that_prepare_one_set_at_once_all_read_it(tmp_path):
    # Held until all have reached it, so that they go on at the same time.
    with preparing(tmp_path / "data", "digits"):
        processes = [start_python("-c", LOAD, tmp_path / "data") for _ in range(3)]
        for process in processes:
            assert process.stderr is not None
            assert "another process prepares digits in" in process.stderr.readline()
    results = [(*process.communicate(timeout=300), process.returncode) for process in processes]
    assert [(out, code) for out, _, code in results] == [("1437\n", 0)] * 3, results
    names = sorted(path.name for path in (tmp_path / "data" / "digits").iterdir())
    assert names == ["1.0.0"]


@pytest.mark.process
def test_the_lock_of_a_killed_process_is_free(tmp_path):
    holder = start_python("-c", HOLD, tmp_path)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    holder.kill()
    holder.communicate()
    start = time.monotonic()
    with preparing(tmp_path, "digits"):
        assert time.monotonic() - start < 10


def test_a_planted_link_is_not_followed(tmp_path):
    (tmp_path / "target").write_text("mine")
    (tmp_path / ".digits.lock").symlink_to(tmp_path / "target")
    with pytest.raises(data.DataFolderError), preparing(tmp_path, "digits"):
        pass
    assert (tmp_path / "target").read_text() == "mine"


def test_a_file_system_without_locks_is_reported(tmp_path, monkeypatch, caplog):
    def fail(handle, operation):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", fail)
    with preparing(tmp_path, "digits"):
        pass
    assert "has no locks: prepare digits in one process at a time" in caplog.text


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        OSError(errno.EROFS, os.strerror(errno.EROFS)),
        # As array_record's writer raises it.
        RuntimeError("write() failed: No space left on device; writing digits-train.array_record"),
    ],
)
def test_a_folder_that_cannot_be_written_is_named(tmp_path, error):
    with pytest.raises(data.DataFolderError) as raised, preparing(tmp_path, "digits"):
        raise error
    message = str(raised.value)
    assert f"data_dir: digits cannot be prepared in {tmp_path}: " in message
    assert "free some space, make the folder writable, or choose another with" in message


def test_other_errors_stay_as_they_are(tmp_path):
    with pytest.raises(RuntimeError, match="other"), preparing(tmp_path, "digits"):
        raise RuntimeError("other")


def test_a_full_disk_while_arrays_are_kept(tmp_path, monkeypatch):
    def full(path, array):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(kept_arrays, "write_array", full)
    with pytest.raises(data.DataFolderError, match=r"digits/test cannot be prepared .*No space"):
        data.load_arrays(data.dataset("digits"), "test", str(tmp_path))


def test_what_is_kept_is_read_without_writing(data_dir, monkeypatch):
    monkeypatch.setattr(kept_arrays, "preparing", None)
    found = data.load_arrays(data.dataset("digits"), "test", data_dir)
    assert found.column("image").dtype == np.uint8


def test_an_unfinished_folder_is_named(tmp_path):
    unfinished = tmp_path / "digits" / "1.0.0"
    unfinished.mkdir(parents=True)
    with pytest.raises(data.DataError, match=r"1.0.0 has no dataset_info.json; delete that folder"):
        data.load_arrays(data.dataset("digits"), "test", str(tmp_path))
    with pytest.raises(data.DataError, match=r"1.0.0 has no dataset_info.json; delete that folder"):
        data.prepare("digits", data_dir=str(tmp_path))


def test_the_program_ends_with_code_3_where_the_folder_is_none(tmp_path, capsys):
    (tmp_path / "file").write_text("x")
    assert prepare_data.main(["digits", f"--data_dir={tmp_path / 'file'}"]) == 3
    assert "error: data_dir: digits cannot be prepared in" in capsys.readouterr().err


@pytest.mark.process
def test_training_ends_with_code_3_where_the_folder_is_none(tmp_path):
    (tmp_path / "file").write_text("x")
    arguments = [f"--workdir={tmp_path / 'run'}", f"--data_dir={tmp_path / 'file'}"]
    done = run_python("-m", "cnnjax", "train", "--config=lenet5_digits", *arguments)
    assert done.returncode == 3, done.stderr
    assert "error: data_dir: digits cannot be prepared in" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("size", ["16k", "300k", "460k"])
def test_the_program_ends_with_code_3_where_the_disk_is_full(tmp_path, capsys, size):
    with small_disk(tmp_path / "disk", size) as disk:
        assert prepare_data.main(["digits", f"--data_dir={disk}"]) == 3
        left = [path.name for path in disk.rglob("*.npy*")]
    message = capsys.readouterr().err
    assert message.startswith("error: data_dir: digits")
    assert "No space left on device" in message
    # What was written before is whole, and nothing of the rest is left.
    assert not any(name.endswith(".incomplete") for name in left)
