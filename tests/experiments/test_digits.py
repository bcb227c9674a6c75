"""What the quickstart promises of LeNet-5 on the embedded digits."""

from typing import Any

import jax
import numpy as np
import pytest

from cnnjax import recipes, training
from experiments.configs.lenet5_digits import get_config


@pytest.mark.slow
def test_ten_seeds_reach_the_stated_accuracy(tmp_path):
    accuracies = []
    with jax.numpy_dtype_promotion("standard"):
        for seed in range(10):
            config: Any = get_config()
            config.seed = seed
            result = training.fit(
                recipes.make_run(config),
                tmp_path / str(seed),
                cadence=training.Cadence(checkpoint_every=config.epochs),
                progress=False,
            )
            accuracies.append(result.metrics["accuracy"])
    print("accuracies", accuracies)
    assert np.mean(accuracies) >= 0.99
    assert min(accuracies) >= 0.985


def test_the_configuration_is_valid_and_reports_the_test_split():
    blueprint = recipes.make_blueprint(get_config())
    assert blueprint.split == "test"
    assert blueprint.image_shape == (32, 32, 1)
