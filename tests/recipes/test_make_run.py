from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from cnnjax import data, recipes, training

DIGITS_28 = {"resize": 28, "pad": 2}


def settings_with(**values):
    return {"model": {"name": "lenet5"}, **values}


@pytest.fixture
def run_with(data_dir):
    return lambda **values: recipes.make_run(settings_with(**values), data_dir=data_dir)


def blueprint_with(**values):
    return recipes.make_blueprint(settings_with(**values))


def test_a_run_counts_steps_and_knows_the_input(tiny_config, data_dir):
    run = recipes.make_run(tiny_config, data_dir=data_dir)
    assert (run.epoch_steps, run.total_steps) == (2, 6)
    assert run.image_shape == (16, 16, 1)
    assert run.split == "validation"


def test_settings_are_given_as_a_dict_or_a_config_dict(data_dir):
    values = settings_with(data=DIGITS_28, epochs=2)
    config: Any = recipes.default_config()
    config.model.name, config.epochs = "lenet5", 2
    config.data.resize, config.data.pad = 28, 2
    runs = [recipes.make_run(c, data_dir=data_dir) for c in (values, ConfigDict(values), config)]
    assert runs[0].identity == runs[1].identity == runs[2].identity
    assert runs[0].identity == recipes.parse_config(values).model_dump()


def test_the_same_seed_gives_the_same_parameters_and_another_gives_others(run_with):
    kernels = [
        np.asarray(run_with(data=DIGITS_28, seed=seed).init_state().params["c1"]["kernel"])
        for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(kernels[0], kernels[1])
    assert not np.array_equal(kernels[0], kernels[2])


def test_held_out_examples_are_apart_and_the_same_for_every_seed(tiny_config, data_dir, run_with):
    run = recipes.make_run(tiny_config, data_dir=data_dir)
    other = recipes.make_run(tiny_config.model_copy(update={"seed": 5}), data_dir=data_dir)
    train, held_out = run.main.examples, run.test
    assert held_out is not None and other.test is not None
    assert (len(train), len(held_out)) == (128, 1309)
    np.testing.assert_array_equal(held_out.column("image"), other.test.column("image"))
    whole = np.concatenate([train.column("image"), held_out.column("image")])
    every = run_with(data=DIGITS_28).main.examples.column("image")
    assert sorted(image.tobytes() for image in whole) == sorted(i.tobytes() for i in every)


def test_nothing_held_out_means_the_test_split(run_with):
    run = run_with(data=DIGITS_28)
    assert run.split == "test"
    assert len(run.test) == 360


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model": {"name": "lenet6"}, "data": DIGITS_28}, "unknown model 'lenet6'.*lenet5"),
        ({"data": {"name": "digit"}}, "did you mean digits"),
        ({"data": {"resize": 8}}, r"lenet5 cannot take images of 8x8x1 .*change data\.resize"),
        ({"data": DIGITS_28 | {"batch_size": 1438}}, "does not fit the 1437 training examples"),
        ({"data": DIGITS_28 | {"validation_examples": 1437}}, "leave none to train on"),
        ({"data": DIGITS_28 | {"train_examples": 1438}}, "1438 was given, but there are 1437"),
        ({"data": DIGITS_28, "optimizer": {"accumulate": 3}}, "128 cannot be cut into 3 equal"),
        (
            {"data": DIGITS_28, "model": {"overrides": {"dtype": "bfloat16"}}},
            r"model\.overrides\.dtype cannot be set; set precision instead",
        ),
        (
            {"data": DIGITS_28 | {"normalization": "model"}, "model": {"name": "resnet8_cifar"}},
            "states the statistics of 3 channels, but digits has 1",
        ),
        ({"data": DIGITS_28, "schedule": {"name": "step"}}, "the step schedule has none"),
        (
            {"data": DIGITS_28, "task": {"auxiliary_weight": 0.3}},
            r"auxiliary_weight: 0\.3 .* has no auxiliary heads; set it to 0",
        ),
        (
            {"data": DIGITS_28 | {"augmentation": "resized_crop(24)"}},
            r"lenet5 cannot take images of 24x24x1 .*change .*\(data\.augmentation\)",
        ),
        (
            {"data": DIGITS_28 | {"augmentation": "pca_color"}},
            "pca_color: .* the images have 1 channels, not 3",
        ),
        (
            {"data": DIGITS_28, "optimizer": {"frozen": (("c9/.*", True), (".*", False))}},
            r"frozen: the patterns 'c9/\.\*' give no parameter its value",
        ),
        ({"data": DIGITS_28 | {"augmentation": "shfit(2)"}}, "did you mean shift"),
        (
            {"data": DIGITS_28, "epochs": 1, "schedule": {"warmup_epochs": 1.0}},
            "the whole run has 11",
        ),
    ],
)
def test_what_cannot_work_is_refused_without_data_or_compiling(values, message, monkeypatch):
    monkeypatch.setattr(jax, "jit", lambda function, **options: function)
    monkeypatch.setattr(data, "load_examples", None)
    with pytest.raises(training.ConfigError, match=message):
        recipes.make_run(settings_with(**values))


def test_extending_keeps_the_schedule(tiny_config, data_dir):
    run = recipes.make_run(tiny_config, extend_to=5, data_dir=data_dir)
    assert run.total_steps == 10
    schedule: Any = run.schedule
    assert float(schedule(9)) == float(schedule(0))


def test_extending_past_a_rate_of_zero_is_refused(tiny_config):
    cosine = tiny_config.model_copy(
        update={"schedule": recipes.parse_config({"schedule": {"name": "cosine"}}).schedule}
    )
    with pytest.raises(training.ConfigError, match="ends at a learning rate of 0 after 3 epochs"):
        recipes.make_run(cosine, extend_to=5)


def test_extending_to_fewer_epochs_is_refused(tiny_config):
    with pytest.raises(training.ConfigError, match=r"2 epochs are fewer than .* 3"):
        recipes.make_run(tiny_config, extend_to=2)


def test_training_examples_are_limited_to_a_fixed_choice(run_with):
    held_out = {"validation_examples": 1000}
    few, many = (
        run_with(data=DIGITS_28 | held_out | {"train_examples": count, "batch_size": 10})
        for count in (50, 100)
    )
    assert (few.epoch_steps, many.epoch_steps) == (5, 10)
    images = {image.tobytes() for image in many.main.examples.column("image")}
    chosen = [image.tobytes() for image in few.main.examples.column("image")]
    assert len(chosen) == 50
    assert set(chosen) <= images
    assert len(few.test) == 1000


def test_precision_and_initialization_reach_the_network(run_with):
    run = run_with(data=DIGITS_28, precision="bfloat16", initialization="lecun")
    assert run.model.dtype == jnp.bfloat16
    assert run.model.initialization == "lecun"
    state = jax.eval_shape(run.init_state)
    assert {leaf.dtype.name for leaf in jax.tree.leaves(state.params)} == {"float32"}


def test_the_networks_own_statistics_are_on_its_scale():
    # LeCun et al. 1998, section II.B: white is -0.1 and ink is 1.175.
    blueprint = blueprint_with(
        model={"name": "lenet5_1998"}, data=DIGITS_28 | {"normalization": "model", "pad": 2}
    )
    images = np.array([0, 255], np.uint8).reshape(2, 1, 1, 1) * np.ones((1, 8, 8, 1), np.uint8)
    inputs = blueprint.preprocess.images(images)
    np.testing.assert_allclose(inputs[:, 16, 16, 0], [-0.1, 1.175], atol=1e-6)


def test_a_network_with_a_global_average_trains_on_crops_of_another_size():
    blueprint = blueprint_with(
        model={"name": "resnet8_cifar"},
        data={"resize": 20, "augmentation": "resized_crop(16)"},
    )
    recipes.check_blueprint(blueprint)
    assert blueprint.image_shape == (20, 20, 1)
