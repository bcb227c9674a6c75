import jax
import pytest

from experiments.speedrun import network, views
from experiments.speedrun.programs import make_programs
from experiments.speedrun.run import Run
from tests.experiments.speedrun.small_run import (
    PREPROCESS,
    RECIPE,
    pictures,
    promotion_and_keys,
)


@pytest.fixture(autouse=True, scope="module")
def in_context():
    with promotion_and_keys():
        yield


@pytest.fixture(scope="session")
def both_ways():
    """The variables and losses of one small run, its counts of right images, and its programs."""
    with promotion_and_keys():
        run = Run(RECIPE, network.SpeedNet(width=2, num_classes=2), PREPROCESS, examples=36)
        train, test = pictures(36, seed=0), pictures(6, seed=1)
        found = {}
        for way in ("whole", "step"):
            programs = make_programs(run, *train, views.cut_into_chunks(*test, size=4), way)
            variables, losses = programs.train(jax.random.key(0))
            found[way] = variables, losses, programs.evaluate(variables), programs
    return found
