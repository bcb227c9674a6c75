"""The default configuration: it runs, and does not frame the images of other datasets."""

import copy

import jax

from cnnjax import training


def test_the_default_configuration_makes_a_plan():
    plan = training.make_plan(training.RunConfig())
    assert plan.image_shape == (32, 32, 1)
    assert training.parse_config({}) == training.RunConfig()


def test_the_default_configuration_trains_a_step(tmp_path):
    default = training.RunConfig()
    few = default.data.model_copy(update={"train_examples": 128, "validation_examples": 64})
    config = default.model_copy(update={"data": few, "epochs": 1})
    with jax.numpy_dtype_promotion("standard"):
        result = training.train_and_evaluate(
            config, tmp_path / "run", data_dir=str(tmp_path / "tfds"), progress=False
        )
    assert result.step == 1


def test_another_dataset_has_the_plain_defaults():
    config = training.default_config()
    assert (config.data.resize, config.data.pad) == (28, 2)
    config.data.name = "cifar10"
    assert (config.data.resize, config.data.pad) == (None, 0)
    parsed = training.parse_config(config.to_dict())
    assert parsed.data == training.parse_config({"data": {"name": "cifar10"}}).data
    assert (copy.deepcopy(config).data.resize, config.copy_and_resolve_references().data.pad) == (
        None,
        0,
    )


def test_what_is_set_holds_for_any_dataset():
    config = training.default_config()
    config.data.pad = 4
    config.data.name = "cifar10"
    config.data.resize = 40
    assert (config.data.resize, config.data.pad) == (40, 4)
    config = training.default_config()
    config.data.resize = None
    assert config.data.resize is None
