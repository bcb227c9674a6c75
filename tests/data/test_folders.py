import hashlib
import os
import shutil

import numpy as np
import pytest
from PIL import Image

from cnnjax import data
from cnnjax.data.folders import list_split


@pytest.fixture
def folder(photographs, tmp_path):
    """A folder of images that may be changed."""
    return shutil.copytree(photographs, tmp_path / "images")


def test_classes_are_the_folders_of_train_in_alphabetical_order(photographs):
    found = data.dataset(f"folder:{photographs}")
    assert found.class_names == ("ants", "bees", "cats")
    assert found.split_sizes == {"train": 24, "test": 7}
    assert found.image_shape is None


@pytest.mark.parametrize("name", ["val", "validation"])
def test_the_test_images_may_be_called_validation(folder, name):
    (folder / "test").rename(folder / name)
    found = data.dataset(f"folder:{folder}")
    assert (found.test_split, found.split_sizes["test"]) == (name, 7)


def test_a_folder_without_test_images_has_no_test_split(folder):
    shutil.rmtree(folder / "test")
    assert data.dataset(f"folder:{folder}").split_sizes == {"train": 24}


def test_the_version_of_a_folder_depends_on_the_names_of_its_images(folder, photographs):
    version = data.dataset(f"folder:{folder}").version
    assert version == data.dataset(f"folder:{photographs}").version
    (folder / "train" / "ants" / "000.jpg").rename(folder / "train" / "ants" / "100.jpg")
    assert version != data.dataset(f"folder:{folder}").version


def test_other_files_are_left_out(folder):
    (folder / "train" / "ants" / "notes.txt").write_text("six legs")
    (folder / "train" / "ants" / ".hidden.jpg").write_bytes(b"")
    os.mkfifo(folder / "train" / "ants" / "pipe.jpg")
    (folder / "train" / "ants" / "gone.jpg").symlink_to(folder / "nowhere.jpg")
    (folder / "train" / "ants" / "folder.jpg").mkdir()
    assert data.dataset(f"folder:{folder}").split_sizes["train"] == 24


def test_a_missing_folder_is_named(folder):
    with pytest.raises(data.DataError, match=r"there is no folder .*nowhere; give a folder that"):
        data.dataset(f"folder:{folder}/nowhere")
    shutil.rmtree(folder / "train")
    with pytest.raises(data.DataError, match=r"there is no folder .*images/train"):
        data.dataset(f"folder:{folder}")


def test_an_empty_class_folder_is_named(folder):
    (folder / "train" / "dogs").mkdir()
    with pytest.raises(data.DataError, match=r"the class folder .*train/dogs holds no image"):
        data.dataset(f"folder:{folder}")


def test_a_class_without_training_images_is_named(folder):
    shutil.copytree(folder / "test" / "ants", folder / "test" / "wasps")
    with pytest.raises(data.DataError, match=r"classes that train has not: wasps"):
        data.dataset(f"folder:{folder}")


def test_images_without_class_folders_are_refused(tmp_path):
    (tmp_path / "train").mkdir()
    with pytest.raises(data.DataError, match=r"train holds no class folders"):
        data.dataset(f"folder:{tmp_path}")


def write_classes(folder, counts):
    for class_name, count in counts.items():
        (folder / class_name).mkdir(parents=True)
        for number in range(count):
            Image.new("RGB", (4, 4)).save(folder / class_name / f"{number:04}.png")
    return folder


def names_of(dataset, split):
    return {os.path.relpath(path, dataset.folder) for path in list_split(dataset, split).paths}


def test_classes_without_train_are_split_by_a_hash(tmp_path):
    folder = write_classes(tmp_path / "pets", {"cats": 300, "dogs": 200})
    found = data.dataset(f"folder:{folder}")
    assert found.class_names == ("cats", "dogs")
    train, test = names_of(found, "train"), names_of(found, "test")
    assert not train & test
    assert len(train | test) == sum(found.split_sizes.values()) == 500
    # A fifth, within four standard deviations of a binomial number.
    assert abs(len(test) - 100) < 4 * np.sqrt(500 * 0.2 * 0.8)
    expected = {
        name
        for name in train | test
        if int(hashlib.sha256(name.encode()).hexdigest(), 16) / 2**256 < 0.2
    }
    assert test == expected
    examples = data.load_examples(found, "test", framing=data.Framing(4, 4))
    labels = [int(examples.name(i).split("/")[-2] == "dogs") for i in range(len(examples))]
    assert examples.column("label").tolist() == labels


def test_images_that_are_added_leave_the_others_where_they_are(tmp_path):
    folder = write_classes(tmp_path / "pets", {"cats": 60, "dogs": 60})
    before = data.dataset(f"folder:{folder}")
    train, test = names_of(before, "train"), names_of(before, "test")
    for number in range(30):
        Image.new("RGB", (4, 4)).save(folder / "cats" / f"new {number}.png")
    after = data.dataset(f"folder:{folder}")
    assert after.version != before.version
    assert train <= names_of(after, "train")
    assert test <= names_of(after, "test")
    # The place of the folder does not matter either.
    tested = names_of(after, "test")
    moved = data.dataset(f"folder:{shutil.move(folder, tmp_path / 'elsewhere')}")
    assert names_of(moved, "test") == tested


def test_each_class_keeps_an_image_to_train_on(tmp_path):
    counts = {f"class {i}": 1 + i % 2 for i in range(60)}
    found = data.dataset(f"folder:{write_classes(tmp_path / 'few', counts)}")
    assert {name.split("/")[0] for name in names_of(found, "train")} == set(counts)
    assert 0 < found.split_sizes["test"] < 30


def test_a_folder_of_too_few_images_has_no_test_split(tmp_path):
    found = data.dataset(f"folder:{write_classes(tmp_path / 'one', {'a': 1, 'b': 1})}")
    assert found.split_sizes == {"train": 2}


def test_a_folder_is_understood_without_its_prefix(photographs, tmp_path, monkeypatch):
    assert data.dataset(str(photographs)) == data.dataset(f"folder:{photographs}")
    write_classes(tmp_path / "digits", {"a": 1, "b": 1})
    monkeypatch.chdir(tmp_path)
    # A set of the catalogue comes before a folder of the same name.
    assert data.dataset("digits").folder is None
    assert data.dataset("folder:digits").class_names == ("a", "b")


def test_test_images_without_training_images_are_named(folder):
    shutil.rmtree(folder / "train")
    with pytest.raises(data.DataError, match=r"there is no folder .*/train; give a folder that"):
        data.dataset(str(folder))


def test_a_folder_without_classes_is_named(tmp_path):
    with pytest.raises(data.DataError, match=r"holds no class folders; put each class's images"):
        data.dataset(str(tmp_path))


@pytest.mark.parametrize("path", ["/nowhere/photos", "./photos", "~/no photos"])
def test_a_path_is_taken_for_a_folder_though_there_is_none(path):
    with pytest.raises(data.DataError, match=r"there is no folder .*photos"):
        data.dataset(path)
