"""A finished run's network made smaller, written, and trained further from the configuration."""

import importlib.util

import jax
import numpy as np
import pytest

from cnnjax import compression, inference, nn, recipes, training

pytestmark = pytest.mark.slow  # each test needs a trained run


@pytest.fixture(scope="module")
def network(finished, data_dir):
    return inference.load(finished[0], data_dir=data_dir)


@pytest.fixture(scope="module")
def smaller(network):
    return compression.make_smaller(network, ratio=0.4, rank=2, keep=["c1"])


def config_of(file):
    spec = importlib.util.spec_from_file_location("written_config", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config()


def test_a_smaller_network_is_written_and_trained_further(network, smaller, data_dir, tmp_path):
    file = compression.write_smaller(smaller, tmp_path / "small")
    config = config_of(file)
    config.epochs = 1
    run = recipes.make_run(config, data_dir=data_dir)
    assert nn.layer_changes(run.model) == nn.layer_changes(smaller.network.model)
    started = run.init_state().variables
    for first, second in zip(
        jax.tree.leaves(started), jax.tree.leaves(dict(smaller.network.variables)), strict=True
    ):
        np.testing.assert_array_equal(first, second)
    training.fit(run, tmp_path / "tuned", progress=False)
    tuned = inference.load(tmp_path / "tuned", data_dir=data_dir)
    assert tuned.variables["params"]["c3"]["column"]["kernel"].shape == (5, 1, 6, 2)
    images = network.examples.column("image")[:3]
    assert tuned.predict(images).shape == (3, 10)


def test_the_network_keeps_its_examples_and_prints_its_changes(network, smaller):
    assert smaller.network.data_identity == network.data_identity
    assert "c3" in str(smaller) and "rank    2" in str(smaller)
    pruned, decomposed = smaller.changes
    assert pruned.multiply_adds[1] == decomposed.multiply_adds[0] > decomposed.multiply_adds[1]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "give one of ratio, multiply_adds, rank, error"),
        ({"ratio": 2.0}, "ratio: 2.0 was given; give a share"),
        ({"rank": 0}, "rank must be an int of at least 1"),
    ],
)
def test_wrong_values_are_errors_of_configuration(network, given, message):
    with pytest.raises(training.ConfigError, match=message):
        compression.make_smaller(network, **given)


def test_only_an_empty_folder_and_a_run_of_a_configuration_are_written(smaller, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(training.ConfigError, match="is not empty; give a new folder"):
        compression.write_smaller(smaller, tmp_path)
    with pytest.raises(training.ConfigError, match="is a file; give a new folder"):
        compression.check_output(tmp_path / "file")
    with pytest.raises(training.ConfigError, match=r"output: .* cannot be made, .*file is not a"):
        compression.check_output(tmp_path / "file" / "new")
