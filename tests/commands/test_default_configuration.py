"""The default configuration: it runs as it is, and holds for any dataset."""

from typing import Any

import jax
import pytest

from cnnjax import recipes, training


def test_the_default_configuration_makes_a_blueprint():
    blueprint = recipes.make_blueprint(recipes.default_config())
    recipes.check_blueprint(blueprint)
    assert blueprint.image_shape == (8, 8, 1)


@pytest.mark.slow
def test_the_default_configuration_trains_a_step(tmp_path):
    config: Any = recipes.default_config()
    config.data.train_examples, config.data.validation_examples, config.epochs = 128, 64, 1
    with jax.numpy_dtype_promotion("standard"):
        run = recipes.make_run(config, data_dir=str(tmp_path / "tfds"))
        result = training.fit(run, progress=False)
    assert result.step == 1
    assert result.split == "validation"


def test_another_dataset_needs_no_other_key():
    config: Any = recipes.default_config()
    config.data.name = "cifar10"
    assert recipes.parse_config(config) == recipes.parse_config({"data": {"name": "cifar10"}})
    assert recipes.make_blueprint(config).image_shape == (32, 32, 3)
