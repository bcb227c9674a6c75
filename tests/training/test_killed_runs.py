"""Runs that are killed with SIGKILL and started again end as if nothing had happened."""

import json
import os
import random
import signal
import time

import jax
import numpy as np
import pytest

from cnnjax import inference, recipes, training
from cnnjax.recipes.without_examples import state_like
from cnnjax.training.folder.checkpoints import Checkpoints
from tests.helpers.metrics import timeless
from tests.helpers.processes import start_python
from tests.training.killable_run import PLACES

pytestmark = pytest.mark.process

STEPS = 24
CHECKPOINTS = 12
"""Of one run: after every third step, inside epochs too, and after every second epoch of two."""


@pytest.fixture(scope="module")
def run(tiny_config, data_dir, tmp_path_factory):
    """Starts the run in a folder, and kills it at a place; returns the last place it printed."""
    shared = tmp_path_factory.mktemp("killed")
    config_file = shared / "config.json"
    config_file.write_text(json.dumps(tiny_config.model_dump() | {"epochs": STEPS // 2}))

    def run(workdir, place=None, number=0, seconds=0.0):
        """Lets the run go on to a place, and for some more seconds; None: to its end."""
        waits = () if place in (None, "step") else (place, str(number))
        process = start_python(
            *("-m", "tests.training.killable_run", config_file, workdir, data_dir, *waits),
            environment={**os.environ, "JAX_NUMPY_DTYPE_PROMOTION": "standard"},
        )
        printed = "nothing"
        assert process.stdout is not None
        for line in process.stdout:
            printed = line.strip()
            if printed == f"{place} {number}":
                time.sleep(seconds)
                process.send_signal(signal.SIGKILL)
        _, errors = process.communicate(timeout=120)
        assert process.returncode == (0 if place is None else -signal.SIGKILL), errors
        return printed

    return run


@pytest.fixture(scope="module")
def undisturbed(run, tmp_path_factory):
    """The folder of a run that nothing happened to."""
    workdir = tmp_path_factory.mktemp("undisturbed") / "run"
    run(workdir)
    return workdir


def outcome(workdir):
    """Returns the last checkpoint's arrays as bytes, and all metrics but those of time."""
    checkpoints = Checkpoints(workdir / "checkpoints")
    step = checkpoints.newest_verified(move_damaged=False)
    assert step is not None
    like = state_like(recipes.make_blueprint(inference.load(workdir).config))
    state = checkpoints.restore(step, like)
    arrays = [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(state)]
    return arrays, timeless(training.read_metrics(workdir))


@pytest.mark.slow
def test_a_run_killed_three_times_loses_no_bit(run, undisturbed, tmp_path):
    workdir = tmp_path / "run"
    # In its fourth checkpoint's arrays; between two steps; before a checkpoint has its name.
    print(run(workdir, "arrays", 4, 0.002))
    print(run(workdir, "step", 17, 0.001))
    print(run(workdir, "rename", 2))
    run(workdir)
    assert outcome(workdir) == outcome(undisturbed)
    starts = [e for e in training.read_events(workdir) if e["event"] in ("started", "resumed")]
    assert len(starts) == 4


def moments():
    """Returns twenty moments between the first step and the last, seven of them within a write."""
    draw = random.Random(0)
    within = [(place, draw.randint(1, CHECKPOINTS - 1), 0.0) for place in PLACES]
    between = [("step", draw.randint(1, STEPS - 1), draw.uniform(0, 0.02)) for _ in range(13)]
    return within + between


@pytest.mark.slow
@pytest.mark.parametrize(("place", "number", "seconds"), moments())
def test_a_run_killed_at_any_moment_loses_no_bit(
    run, undisturbed, tmp_path, place, number, seconds
):
    workdir = tmp_path / "run"
    last = run(workdir, place, number, seconds)
    print(f"killed {1e3 * seconds:.1f} ms after {place} {number}; last: {last}")
    run(workdir)
    assert outcome(workdir) == outcome(undisturbed)
