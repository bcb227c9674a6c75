import jax.numpy as jnp
import pytest

from cnnjax import data, recipes
from cnnjax.recipes.network import input_statistics, make_network

DIGITS = data.dataset("digits")


def config_of(**values):
    return recipes.parse_config({"model": {"name": "resnet8_cifar"}, **values})


def test_the_network_has_the_configurations_precision_and_initialization():
    network = make_network(config_of(precision="float16", initialization="he"), 3)
    assert (network.num_classes, network.dtype, network.initialization) == (3, jnp.float16, "he")


def test_statistics_are_the_datasets_or_the_networks():
    assert input_statistics(config_of(), DIGITS, 1) == (DIGITS.mean, DIGITS.std)
    mean, std = input_statistics(config_of(data={"normalization": "model"}), DIGITS, 3)
    assert len(mean) == len(std) == 3
    assert all(0 < value < 1 for value in (*mean, *std))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"num_classes": 3}, r"overrides\.num_classes cannot be set; set data\.name instead"),
        ({"dtype": "float16"}, r"overrides\.dtype cannot be set; set precision instead"),
        ({"initialization": "xavier"}, r"'he' was given, and .* has 'xavier' for it; leave one"),
        ({"width": 3}, "width"),
    ],
)
def test_overrides_that_have_a_key_or_no_field_are_refused(overrides, message):
    model = {"name": "resnet8_cifar", "overrides": overrides}
    with pytest.raises(ValueError, match=message):
        make_network(config_of(model=model, initialization="he"), 10)


def test_statistics_of_another_number_of_channels_are_refused():
    config = config_of(data={"normalization": "model"})
    with pytest.raises(ValueError, match=r"of 3 channels, but digits has 1; set it to 'dataset'"):
        input_statistics(config, DIGITS, 1)
