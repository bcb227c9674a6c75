from typing import Any

import pytest

from cnnjax import recipes, training


def test_defaults_fill_what_is_not_given():
    config = recipes.parse_config({"data": {"batch_size": 7}})
    assert config.data.batch_size == 7
    assert config.data.name == "digits"


def test_the_default_config_dict_is_the_schema():
    assert recipes.parse_config(recipes.default_config().to_dict()) == recipes.parse_config({})
    assert recipes.parse_config(recipes.default_config()) == recipes.parse_config({})


def test_the_default_config_dict_refuses_unknown_keys():
    with pytest.raises(AttributeError):
        config: Any = recipes.default_config()
        config.optimizer.lr = 0.1


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epoch": 3}, r"config\.epoch is unknown; did you mean config\.epochs\?"),
        ({"batch_size": 3}, r"did you mean config\.data\.batch_size\?"),
        ({"optimizer": {"lr": 3.0}}, r"known: config\.optimizer\.name, .*learning_rate"),
        ({"epochs": "ten"}, r"config\.epochs: 'ten' was given"),
        ({"epochs": 2.5}, r"config\.epochs: 2\.5 was given"),
        ({"epochs": 0}, r"greater than or equal to 1"),
        ({"optimizer": {"learning_rate": float("nan")}}, "finite"),
        ({"optimizer": {"name": "sdg"}}, r"optimizer\.name: .*'sdg'; did you mean sgd"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(values, message):
    with pytest.raises(training.ConfigError, match=message):
        recipes.parse_config(values)


def test_all_mistakes_are_named_at_once():
    with pytest.raises(training.ConfigError) as raised:
        recipes.parse_config({"epochs": 0, "seed": -1})
    assert "epochs" in str(raised.value)
    assert "seed" in str(raised.value)


def test_keys_are_listed_with_their_sections():
    keys = recipes.known_keys()
    assert keys[:2] == ["model.name", "model.overrides"]
    assert {"optimizer.learning_rate", "task.label_smoothing", "seed"} <= set(keys)


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("data.epochs", "did you mean config.epochs?"),
        ("optimizer.momentun", "did you mean config.optimizer.momentum?"),
        ("batch_norm.xyz", "known: config.batch_norm.scope, config.batch_norm.group_size"),
    ],
)
def test_a_hint_names_the_nearest_key_or_those_of_the_section(path, hint):
    assert recipes.nearest_key(path) == hint


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("classification", {"smoothing": 0.1}, r"config\.task\.smoothing is unknown; "),
        ("clasification", {}, r"config\.task\.name: .*did you mean classification"),
    ],
)
def test_a_section_of_an_unknown_task_or_setting_is_refused(name, settings, message):
    with pytest.raises(training.ConfigError, match=message):
        recipes.task_section(name, **settings)
