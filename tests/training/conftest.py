import pytest

from cnnjax import data, recipes, training
from tests.helpers.fixtures import standard_promotion

__all__ = ["standard_promotion"]


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
