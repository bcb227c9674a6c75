"""Arrays that are kept beside a prepared set, verified by their digests."""

import logging
import shutil
import subprocess

import numpy as np
import pytest

from cnnjax import data
from cnnjax.data import kept_arrays as module
from cnnjax.data.kept_arrays import kept_arrays
from cnnjax.data.read import stored_parts

CONTENT = np.arange(5000, dtype=np.int32)


@pytest.fixture
def folder(data_dir, tmp_path):
    """A data folder with `digits` and the kept test images, that may be changed."""
    return shutil.copytree(data_dir, tmp_path / "tfds")


def images_file(folder):
    return folder / "digits" / "1.0.0" / "test-images.npy"


def keep(path, make=lambda: [CONTENT]):
    (array,) = kept_arrays([path], "numbers", make)
    return array


def flip_byte(path, place=4000):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def test_digests_are_in_the_form_of_sha256sum(tmp_path):
    keep(tmp_path / "a.npy")
    checked = subprocess.run(["sha256sum", "--check", "a.npy.sha256"], cwd=tmp_path, check=True)
    assert checked.returncode == 0


def test_a_flipped_byte_of_kept_images_is_noticed_and_undone(folder, caplog):
    path = images_file(folder)
    digits = data.dataset("digits")
    expected = data.load_arrays(digits, "test", str(folder)).column("image")
    flip_byte(path)
    with caplog.at_level(logging.WARNING):
        found = data.load_arrays(digits, "test", str(folder)).column("image")
    np.testing.assert_array_equal(found, expected)
    assert f"digits/test is made again: {path} is damaged: its SHA-256 is" in caplog.text
    np.testing.assert_array_equal(np.load(path), expected)


@pytest.mark.parametrize("damage", ["cut", "empty", "objects", "undigested", "digest gone bad"])
def test_other_damage_is_undone_too(tmp_path, caplog, damage):
    path = tmp_path / "a.npy"
    beside = tmp_path / "a.npy.sha256"
    keep(path)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:1000])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "objects":
        # Also with a digest of its own: objects would run code as they are loaded.
        np.save(path, np.array([{}], object), allow_pickle=True)
        beside.write_text(f"{module.digests.of_file(path)}  a.npy\n")
    elif damage == "undigested":
        beside.unlink()
    else:
        beside.write_bytes(b"\xff\xfe")
    np.testing.assert_array_equal(keep(path), CONTENT)
    assert "numbers is made again: " in caplog.text
    caplog.clear()
    np.testing.assert_array_equal(keep(path, lambda: pytest.fail("made twice")), CONTENT)
    assert not caplog.text


def test_a_digest_is_computed_once_in_a_process(tmp_path, monkeypatch):
    path = tmp_path / "a.npy"
    keep(path)
    counted = []
    real = module.digests.of_file
    monkeypatch.setattr(module.digests, "of_file", lambda path: counted.append(path) or real(path))
    for _ in range(3):
        keep(path)
    assert counted == [path]
    flip_byte(path)
    np.testing.assert_array_equal(keep(path), CONTENT)


def test_damage_beyond_repair_names_the_command(folder):
    flip_byte(images_file(folder))
    records = folder / "digits" / "1.0.0" / "digits-test.array_record-00000-of-00001"
    records.write_bytes(records.read_bytes()[:40_000])
    with pytest.raises(
        data.DataError, match=r"test\[0\] cannot be read: .*; delete that folder and run: "
    ) as raised:
        data.load_arrays(data.dataset("digits"), "test", str(folder))
    assert f"cnnjax prepare digits --data_dir={folder}" in str(raised.value)


def test_a_damaged_record_is_named(folder, monkeypatch):
    class Records:
        def __len__(self):
            return 360

        def __getitem__(self, position):
            if position == 7:
                raise RuntimeError("chunk data hash mismatch")
            return {"image": b"", "label": 1}

    images_file(folder).unlink()
    monkeypatch.setattr(stored_parts, "decode_image", lambda *given: np.zeros((8, 8, 1), np.uint8))
    monkeypatch.setattr("cnnjax.data.read.sources.PreparedSource._records", Records())
    with pytest.raises(data.DataError, match=r"test\[7\] cannot be read: .*hash mismatch; delete"):
        data.load_arrays(data.dataset("digits"), "test", str(folder))


def test_kept_labels_of_a_streamed_set_are_verified(folder):
    digits = data.dataset("digits")
    expected = data.load_arrays(digits, "test", str(folder)).column("label")
    flip_byte(folder / "digits" / "1.0.0" / "test-labels.npy", 200)
    streamed = data.load_examples(digits, "test", str(folder), resident="never")
    np.testing.assert_array_equal(streamed.column("label"), expected)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\xff\xfe"])
@pytest.mark.parametrize("name", ["dataset_info.json", "features.json"])
def test_a_damaged_description_is_named(folder, name, content):
    images_file(folder).unlink()
    (folder / "digits" / "1.0.0" / name).write_bytes(content)
    with pytest.raises(data.DataError, match=r"TFDS cannot read its description of .*digits/1.0.0"):
        data.load_arrays(data.dataset("digits"), "test", str(folder))


def test_a_folder_that_is_gone_is_named(folder):
    streamed = data.load_examples(data.dataset("digits"), "test", str(folder), resident="never")
    shutil.rmtree(folder / "digits" / "1.0.0")
    with pytest.raises(data.DataError, match=r"the folder .*digits/1.0.0 is gone; restore it"):
        streamed.read(0)


def test_a_damaged_record_of_a_streamed_set_counts_as_damaged(folder):
    digits = data.dataset("digits")
    streamed = data.load_examples(digits, "test", str(folder), resident="never")
    (folder / "digits" / "1.0.0" / "digits-test.array_record-00000-of-00001").write_bytes(b"")
    reader = data.Reader(streamed, data.EvaluationOrder(4, 4))
    (batch,) = reader.batches()
    assert batch["weight"].tolist() == [0.0] * 4
    assert all("ArrayRecord" in problem for problem in reader.damaged.values())


def test_a_data_folder_that_cannot_be_listed_is_named(folder, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.iterdir", refuse)
    with pytest.raises(data.DataError, match=r"digits cannot be listed: .*Permission denied"):
        data.load_arrays(data.dataset("digits"), "test", str(folder))
