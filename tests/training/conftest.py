import jax
import pytest

from cnnjax import data, recipes, training
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
def tiny_config():
    """Two steps an epoch, three epochs: 128 examples to train on, the others are evaluated."""
    return recipes.parse_config(TINY)


@pytest.fixture(scope="session")
def train_config(data_dir):
    """Trains what a configuration describes, and logs every step: a function."""

    def train(
        config,
        workdir,
        *,
        extend_to=None,
        read=None,
        parallel=None,
        profile_steps=None,
        **cadence,
    ):
        read = read or data.ReadOptions()
        return training.fit(
            recipes.make_run(config, data_dir=data_dir, extend_to=extend_to, read=read),
            workdir,
            cadence=training.Cadence(**{"log_every": 1, **cadence}),
            parallel=parallel or training.Parallel(),
            profile_steps=profile_steps,
            read=read,
            progress=False,
        )

    return train


@pytest.fixture(scope="session")
def finished(tmp_path_factory, tiny_config, train_config):
    """The folder of a finished tiny run, not to be changed, and its result."""
    workdir = tmp_path_factory.mktemp("finished") / "run"
    with jax.numpy_dtype_promotion("standard"):
        return workdir, train_config(tiny_config, workdir)
