"""Every JSON file of a run is read by one reader, which names what is wrong."""

import os
import socket

import pytest

from cnnjax.training.errors import RunFolderError
from cnnjax.training.folder.json_files import (
    COUNT,
    NUMBERS,
    OBJECTS,
    RUN_ID,
    DamagedFile,
    one_of,
    optional,
    read_json,
)
from tests.helpers.damages import CONTENTS

TABLE = {"step": COUNT, "metrics": optional(NUMBERS)}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.json"


def test_what_fits_the_table_is_read_and_more_may_be_there(path):
    path.write_text('{"step": 3, "other": []}')
    assert read_json(path, TABLE) == {"step": 3, "other": []}


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
def test_damage_is_named(path, content):
    path.write_bytes(content)
    with pytest.raises(
        DamagedFile, match=r"a\.json is damaged: (it is|it holds|'step' is missing)"
    ):
        read_json(path, TABLE)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (COUNT, "-1"),
        (COUNT, "true"),
        (COUNT, "1.5"),
        (optional(NUMBERS), '{"loss": "low"}'),
        (OBJECTS, "[{}, 1]"),
        (RUN_ID, '"0123"'),
        (RUN_ID, '"{}"'.format("g" * 32)),
        (one_of("a", "b"), "[]"),
    ],
)
def test_a_value_of_another_kind_is_named(path, kind, value):
    path.write_text(f'{{"entry": {value}}}')
    with pytest.raises(DamagedFile, match=r"damaged: 'entry' is .*, expected"):
        read_json(path, {"entry": kind})


def test_what_is_no_file_is_damage_and_is_not_waited_for(path):
    path.mkdir()
    with pytest.raises(DamagedFile, match="it is no regular file"):
        read_json(path, TABLE)
    path.rmdir()
    os.mkfifo(path)
    with pytest.raises(DamagedFile, match="it is no regular file"):
        read_json(path, TABLE)
    path.unlink()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        with pytest.raises(DamagedFile, match="it cannot be opened"):
            read_json(path, TABLE)


def test_a_missing_file_is_no_damage(path):
    with pytest.raises(FileNotFoundError):
        read_json(path, TABLE)
    (path.parent / "file").write_text("")
    with pytest.raises(FileNotFoundError):
        read_json(path.parent / "file" / "a.json", TABLE)


def test_a_file_that_may_not_be_read_is_no_damage(path, monkeypatch):
    path.write_text("{}")

    def refuse(*arguments):
        raise PermissionError(13, "Permission denied")

    # Root may read everything.
    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(RunFolderError, match=r"a\.json cannot be read: Permission denied"):
        read_json(path, TABLE)
