"""Whole runs with every option on: a step's whole state survives a restart."""

import shutil

import jax
import numpy as np
import pytest

from cnnjax import inference, recipes, training
from cnnjax.training.folder.checkpoints import Checkpoints

RECIPE = {
    "model": {"name": "lenet5"},
    "data": {
        "resize": 16,
        "batch_size": 64,
        "augmentation": "shift(1), mixup(0.4)",
        "validation_examples": 1200,
        "train_examples": 128,
    },
    "task": {"label_smoothing": 0.1},
    "optimizer": {
        "name": "rmsprop",
        "learning_rate": 0.002,
        "gradient_clip": 1.0,
        "accumulate": 2,
        "frozen": (("c1/.*", True), (".*", False)),
    },
    "schedule": {"name": "plateau", "patience": 1, "factor": 0.5},
    "precision": "float16",
    "initialization": "lecun",
    "ema_decay": 0.9,
    "epochs": 3,
}


def state_of(workdir, run):
    return Checkpoints(workdir / "checkpoints").restore(6, jax.eval_shape(run.init_state))


@pytest.fixture(scope="module")
def finished(tmp_path_factory, data_dir):
    run = recipes.make_run(RECIPE, data_dir=data_dir)
    workdir = tmp_path_factory.mktemp("recipes") / "run"
    with jax.numpy_dtype_promotion("standard"):
        result = training.fit(run, workdir, progress=False)
    return workdir, run, result


@pytest.mark.slow
def test_a_resumed_run_ends_bit_for_bit_where_an_undisturbed_one_does(finished, tmp_path):
    whole, run, result = finished
    workdir = tmp_path / "run"
    shutil.copytree(whole, workdir)
    for step in (4, 6):
        shutil.rmtree(workdir / "checkpoints" / f"{step:08d}")
    again = training.fit(run, workdir, progress=False)
    states = [state_of(folder, run) for folder in (whole, workdir)]
    assert jax.tree.structure(states[0]) == jax.tree.structure(states[1])
    for old, new in zip(*map(jax.tree.leaves, states), strict=True):
        assert np.asarray(old).tobytes() == np.asarray(new).tobytes()
    assert again.metrics == result.metrics


@pytest.mark.slow
def test_frozen_layers_stay_and_averages_trail_behind(finished, data_dir):
    workdir, run, result = finished
    first, last = run.init_state(), state_of(workdir, run)
    for leaf, old in zip(
        jax.tree.leaves(last.params["c1"]), jax.tree.leaves(first.params["c1"]), strict=True
    ):
        np.testing.assert_array_equal(leaf, old)
    start, average, end = (
        np.asarray(params["f6"]["kernel"])
        for params in (first.params, last.ema["params"], last.params)
    )
    assert 0 < np.abs(average - start).max() < np.abs(end - start).max()
    # The network that is evaluated is the averaged one.
    network = inference.load(workdir, data_dir=data_dir)
    np.testing.assert_array_equal(network.variables["params"]["f6"]["kernel"], average)
    assert result.metrics["loss"] == pytest.approx(network.evaluate()["loss"], rel=1e-5)
