import jax
import pytest

from cnnjax import data, recipes


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
    """Two steps an epoch, three epochs: 128 examples to train on, the others are evaluated."""
    return recipes.parse_config(
        {
            "model": {"name": "lenet5"},
            "data": {
                "resize": 16,
                "batch_size": 64,
                "augmentation": "shift(1)",
                "validation_examples": 1309,
            },
            "optimizer": {"name": "adam", "learning_rate": 0.003},
            "epochs": 3,
        }
    )
