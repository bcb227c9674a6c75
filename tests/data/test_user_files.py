"""Files of users: no waiting for pipes."""

import os
import socket

import pytest

from cnnjax.data.user_files import irregular_kind, read_regular


def test_a_regular_file_is_read_also_through_a_link(tmp_path):
    (tmp_path / "a").write_bytes(b"content")
    (tmp_path / "link").symlink_to("a")
    assert irregular_kind(tmp_path / "a") == irregular_kind(tmp_path / "link") == ""
    assert read_regular(tmp_path / "a") == read_regular(tmp_path / "link") == b"content"


def test_what_is_no_regular_file_is_named_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "broken").symlink_to("nowhere")
    (tmp_path / "linked").symlink_to("pipe")
    (tmp_path / "device").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        expected = {
            "pipe": "a named pipe",
            "linked": "a named pipe",
            "socket": "a socket",
            "device": "a device",
            "folder": "a folder",
            "broken": "a broken link",
            "gone": "No such file or directory",
        }
        assert {name: irregular_kind(tmp_path / name) for name in expected} == expected
        for name, kind in {**expected, "broken": "No such file"}.items():
            with pytest.raises(OSError, match=kind):
                read_regular(tmp_path / name)


def test_a_pipe_that_takes_the_place_of_a_file_is_refused(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "a").write_bytes(b"content")
    regular = os.stat(tmp_path / "a")
    monkeypatch.setattr("cnnjax.data.user_files.os.stat", lambda path: regular)
    with pytest.raises(OSError, match="it is a named pipe, and only regular files are read"):
        read_regular(tmp_path / "pipe")
