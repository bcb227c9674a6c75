import jax
import pytest

from cnnjax import data, recipes
from tests.tiny_run import TINY


@pytest.fixture(autouse=True)
def standard_promotion():
    """optax mixes dtypes in its own arithmetic."""
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
    """A TFDS folder with the digits, that the tests of one process share."""
    folder = str(tmp_path_factory.mktemp("tfds"))
    data.load_arrays(data.dataset("digits"), "test", folder)
    return folder


@pytest.fixture(scope="session")
def tiny_config():
    return recipes.parse_config(TINY)
