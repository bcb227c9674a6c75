import shutil

import pytest

from cnnjax import data


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


def test_the_version_of_a_folder_tells_which_images_it_holds(folder, photographs):
    version = data.dataset(f"folder:{folder}").version
    assert version == data.dataset(f"folder:{photographs}").version
    (folder / "train" / "ants" / "000.jpg").rename(folder / "train" / "ants" / "100.jpg")
    assert version != data.dataset(f"folder:{folder}").version


def test_other_files_are_no_images(folder):
    (folder / "train" / "ants" / "notes.txt").write_text("six legs")
    (folder / "train" / "ants" / ".hidden.jpg").write_bytes(b"")
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


def test_images_without_class_folders_are_told(tmp_path):
    (tmp_path / "train").mkdir()
    with pytest.raises(data.DataError, match=r"train holds no class folders"):
        data.dataset(f"folder:{tmp_path}")
