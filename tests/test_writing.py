import json
import os
import re
import socket
import stat

import numpy as np
import pytest

from cnnjax import writing
from cnnjax.writing import printable


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_is_written_is_there_and_nothing_besides(tmp_path):
    writing.write_text(tmp_path / "a.csv", "ä,b\r\nc,d\n")
    writing.write_json(tmp_path / "b.json", {"z": 1, "a": [2]})
    writing.write_json(tmp_path / "c.json", {"z": 1, "a": 2}, indent=1, sort_keys=True)
    writing.write_array(tmp_path / "d", np.arange(3))
    assert (tmp_path / "a.csv").read_bytes() == "ä,b\r\nc,d\n".encode()
    assert (tmp_path / "b.json").read_text() == json.dumps({"z": 1, "a": [2]}, indent=2) + "\n"
    assert (tmp_path / "c.json").read_text() == '{\n "a": 2,\n "z": 1\n}\n'
    np.testing.assert_array_equal(np.load(tmp_path / "d"), np.arange(3))
    assert names(tmp_path) == ["a.csv", "b.json", "c.json", "d"]


def test_a_block_that_raises_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), writing.aside(path) as temporary:
        temporary.write_text("ne")
        raise RuntimeError
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_values_that_are_no_json_leave_what_was_there(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("{}")
    with pytest.raises(TypeError):
        writing.write_json(path, {"a": object()})
    assert path.read_text() == "{}"
    assert names(tmp_path) == ["a.json"]


def test_content_and_name_are_on_the_disk_in_this_order(tmp_path, monkeypatch):
    steps = []
    for name in ("fsync", "replace"):
        original = getattr(os, name)
        monkeypatch.setattr(
            os, name, lambda *a, name=name, original=original: (steps.append(name), original(*a))
        )
    writing.write_text(tmp_path / "a", "b")
    assert steps == ["fsync", "replace", "fsync"]


def test_a_link_at_the_temporary_name_is_not_followed(tmp_path, monkeypatch):
    monkeypatch.setattr(writing.secrets, "token_hex", lambda size: "guessed")
    precious = tmp_path / "precious"
    precious.write_text("kept")
    (tmp_path / ".a.guessed.incomplete").symlink_to(precious)
    with pytest.raises(FileExistsError):
        writing.write_text(tmp_path / "a", "b")
    assert precious.read_text() == "kept"


def test_a_link_at_the_place_itself_is_replaced(tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("kept")
    (tmp_path / "a").symlink_to(precious)
    writing.write_text(tmp_path / "a", "b")
    assert precious.read_text() == "kept"
    assert not (tmp_path / "a").is_symlink()


def test_permissions_are_those_that_the_umask_leaves(tmp_path):
    before = os.umask(0o027)
    try:
        writing.write_text(tmp_path / "a", "b")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


def test_two_writers_do_not_share_a_temporary_file(tmp_path):
    with writing.aside(tmp_path / "a") as first, writing.aside(tmp_path / "a") as second:
        assert first != second
        assert re.fullmatch(r"\.a\.[0-9a-f]{16}\.incomplete", first.name)
        first.write_text("one")
        second.write_text("two")
    assert (tmp_path / "a").read_text() == "one"


def test_a_folder_that_cannot_be_flushed_holds_the_file(tmp_path, monkeypatch):
    original = writing.flush

    def flush(path):
        if path == tmp_path:
            raise OSError(22, "Invalid argument")
        original(path)

    monkeypatch.setattr(writing, "flush", flush)
    writing.write_text(tmp_path / "a", "b")
    assert (tmp_path / "a").read_text() == "b"
    assert names(tmp_path) == ["a"]


def test_what_utf_8_lacks_is_written_as_an_escape(tmp_path):
    writing.write_text(tmp_path / "a.txt", os.fsdecode(b"caf\xe9 \xc3\xa9"))
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == r"caf\xe9 é"


def test_a_name_may_be_as_long_as_the_file_system_allows(tmp_path):
    path = tmp_path / ("ä" * 127)
    writing.write_text(path, "long")
    assert names(tmp_path) == [path.name]


@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize("kind", ["pipe", "socket", "device"])
def test_a_device_a_pipe_or_a_socket_is_not_replaced(kind, linked, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "special"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("special")
    else:
        # A link in the place of the device itself, which a failing test would replace.
        path.symlink_to(os.devnull)
    if linked:
        path = tmp_path / "link"
        path.symlink_to("special")
    before = os.lstat(path)
    with pytest.raises(FileExistsError, match="a device, a pipe or a socket; give the name of a"):
        writing.write_text(path, "b")
    after = os.lstat(path)
    # The time of the last access is left out: following a link may renew it.
    for field in ("st_ino", "st_dev", "st_mode", "st_size", "st_mtime_ns"):
        assert getattr(after, field) == getattr(before, field), field
    assert not list(tmp_path.glob("*.incomplete"))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (b"plain", "plain"),
        ("käfer".encode(), "käfer"),
        (b"caf\xe9", r"caf\xe9"),
        (b"\xff\xfe/\x80.png", r"\xff\xfe/\x80.png"),
        # No byte of a name, such as from a file of JSON.
        ("\ud800", r"\ud800"),
    ],
)
def test_every_name_can_be_printed(name, expected):
    found = printable(name if isinstance(name, str) else os.fsdecode(name))
    assert found == expected
    assert found.encode("utf-8")
