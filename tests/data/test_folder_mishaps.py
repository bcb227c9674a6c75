"""Folders of images with pipes, names that are not UTF-8, and what cannot be listed."""

import logging
import os
import shutil
import socket

import numpy as np
import pytest
from PIL import Image

from cnnjax import data
from cnnjax.data.folders import list_split

FRAMING = data.Framing(8, 8)


@pytest.fixture
def folder(photographs, tmp_path):
    """A folder of images that may be changed."""
    return shutil.copytree(photographs, tmp_path / "images")


def write_bytes_named(folder, names):
    """Writes an image for each name, which is bytes and may not be UTF-8."""
    for name in names:
        path = os.path.join(os.fsencode(folder), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            Image.new("RGB", (8, 8)).save(file, "PNG")


def test_what_is_no_regular_file_is_left_out_and_named(folder, caplog):
    ants = folder / "train" / "ants"
    os.mkfifo(ants / "pipe.jpg")
    (ants / "linked.jpg").symlink_to("pipe.jpg")
    (ants / "broken.png").symlink_to("nowhere")
    (ants / "zero.png").symlink_to("/dev/zero")
    (ants / "folder.png").mkdir()
    with socket.socket(socket.AF_UNIX) as listener, caplog.at_level(logging.WARNING):
        listener.bind(str(ants / "socket.webp"))
        found = data.dataset(f"folder:{folder}")
    assert found.split_sizes == {"train": 24, "test": 7}
    messages = [record.getMessage() for record in caplog.records]
    kinds = {
        "broken.png": "a broken link",
        "folder.png": "a folder",
        "linked.jpg": "a named pipe",
        "pipe.jpg": "a named pipe",
        "socket.webp": "a socket",
        "zero.png": "a device",
    }
    assert messages == [f"{ants / name} is left out: it is {kinds[name]}" for name in kinds]


def test_each_is_named_once_where_a_hash_splits(tmp_path, caplog):
    write_bytes_named(
        tmp_path, [b"%s/%d.png" % (name, n) for name in (b"a", b"b") for n in range(9)]
    )
    os.mkfifo(tmp_path / "a" / "pipe.png")
    assert sum(data.dataset(str(tmp_path)).split_sizes.values()) == 18
    assert len(caplog.records) == 1


def test_a_pipe_that_takes_the_place_of_an_image_counts_as_damaged(folder):
    found = data.dataset(f"folder:{folder}")
    examples = data.load_examples(found, "test", framing=FRAMING)
    path = folder / "test" / "ants" / "000.jpg"
    path.unlink()
    os.mkfifo(path)
    reader = data.Reader(examples, data.EvaluationOrder(len(examples), 7))
    (batch,) = reader.batches()
    assert batch["weight"].tolist() == [0, 1, 1, 1, 1, 1, 1]
    assert reader.damaged == {str(path): "it is a named pipe, and only regular files are read"}


def test_names_that_are_not_utf8_are_listed_read_and_printed(tmp_path, capsys):
    names = [
        b"%s/%s/%d.png" % (split, kind, n)
        for split in (b"train", b"test")
        for kind in (b"caf\xe9", b"tea")
        for n in range(3)
    ]
    write_bytes_named(tmp_path, [*names, b"train/tea/\xff.png"])
    with open(os.path.join(os.fsencode(tmp_path), b"train/tea/\xfe.png"), "wb") as file:
        file.write(b"damaged")
    found = data.dataset(f"folder:{tmp_path}")
    assert found.class_names == (r"caf\xe9", "tea")
    assert found.split_sizes == {"train": 8, "test": 6}
    examples = data.load_examples(found, "train", framing=FRAMING)
    assert examples.column("label").tolist() == [0] * 3 + [1] * 5
    reader = data.Reader(examples, data.EvaluationOrder(8, 8))
    (batch,) = reader.batches()
    assert batch["weight"].tolist() == [1] * 6 + [0, 1]
    assert list(reader.damaged) == [rf"{tmp_path}/train/tea/\xfe.png"]
    for text in (*found.class_names, *reader.damaged, found.name, found.source):
        print(text.encode("utf-8").decode())
    assert r"caf\xe9" in capsys.readouterr().out


def test_a_folder_whose_own_name_is_not_utf8_is_read(tmp_path):
    folder = os.fsdecode(os.path.join(os.fsencode(tmp_path), b"caf\xe9"))
    write_bytes_named(folder, [b"%s/%d.png" % (kind, n) for kind in (b"a", b"b") for n in range(9)])
    found = data.dataset(folder)
    assert (found.name, found.source) == (rf"folder:{tmp_path}/caf\xe9", rf"{tmp_path}/caf\xe9")
    examples = data.load_examples(found, "train", framing=FRAMING)
    np.testing.assert_array_equal(examples.read(0)["image"], 0)
    assert examples.name(0).startswith(rf"{tmp_path}/caf\xe9/a/")


def test_two_classes_of_one_printed_name_are_refused(tmp_path):
    write_bytes_named(tmp_path, [b"caf\xe9/0.png", rb"caf\xe9/0.png"])
    with pytest.raises(
        data.DataError, match=r"two class folders .* have the printed name caf\\xe9"
    ):
        data.dataset(str(tmp_path))


@pytest.mark.parametrize("name", ["a" * 5000, "folder:" + "a/" * 3000, "/nul\0byte", "~nobody/a"])
def test_names_that_no_file_can_have_are_refused(name, tmp_path):
    with pytest.raises(data.DataError, match=r"is unknown|there is no folder"):
        data.dataset(name, str(tmp_path))


def test_a_folder_that_cannot_be_listed_is_named(folder, monkeypatch):
    found = data.dataset(f"folder:{folder}")

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("cnnjax.data.folders.os.scandir", refuse)
    with pytest.raises(data.DataError, match=r"images/train cannot be listed: Permission denied"):
        list_split(found, "train")
