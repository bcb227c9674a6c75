import pytest

from tests.photographs import write_photographs


@pytest.fixture(scope="session")
def photographs(tmp_path_factory):
    """A folder of 24 images to train on and 7 to test, of three classes; not to be changed."""
    folder = tmp_path_factory.mktemp("photographs")
    write_photographs(folder)
    return folder


@pytest.fixture(scope="session")
def tfds_dir(tmp_path_factory):
    """A TFDS folder with `digits` in it."""
    from cnnjax import data

    folder = str(tmp_path_factory.mktemp("tfds"))
    data.load_arrays(data.dataset("digits"), "test", folder)
    return folder
