"""What a run's description holds before any example is read."""

import pytest

from cnnjax.recipes.blueprint import make_blueprint
from cnnjax.training.errors import ConfigError
from tests.recipes import own_parts


def config_of(name="resnet8_cifar", **overrides):
    model = {"name": name, "overrides": overrides}
    return {"data": {"name": "digits"}, "model": model}


@pytest.mark.parametrize("name", ["resnet8_cifar", "simple_cnn"])
def test_an_activation_of_a_users_is_recorded_for_other_processes(name):
    path = "tests.recipes.own_parts:cubed"
    (record,) = make_blueprint(config_of(name, activation=path)).parts
    expected = {"kind": "activation", "name": path, "module": own_parts.__name__}
    assert record == {**expected, "file": own_parts.__file__}
    assert make_blueprint(config_of(name, activation="gelu")).parts == ()


def test_choices_of_the_network_come_from_the_configuration():
    model = make_blueprint(config_of(norm="group", padding_mode="reflect")).model
    assert (model.norm, model.padding_mode) == ("group", "reflect")


def test_an_unknown_activation_is_an_error_of_the_configuration():
    with pytest.raises(ConfigError, match="unknown activation 'gelo'; did you mean gelu"):
        make_blueprint(config_of(activation="gelo"))
