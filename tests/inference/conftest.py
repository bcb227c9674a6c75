import jax
import pytest

from cnnjax import recipes, training
from tests.tiny_run import TINY


@pytest.fixture(autouse=True)
def standard_promotion():
    """optax mixes dtypes in its own arithmetic."""
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
    """A TFDS folder that the tests of one process share."""
    return str(tmp_path_factory.mktemp("tfds"))


@pytest.fixture(scope="session")
def finished(tmp_path_factory, data_dir):
    """The folder of a finished tiny run, not to be changed, and its result."""
    workdir = tmp_path_factory.mktemp("finished") / "run"
    with jax.numpy_dtype_promotion("standard"):
        run = recipes.make_run(TINY, data_dir=data_dir)
        result = training.fit(run, workdir, progress=False)
    return workdir, result
