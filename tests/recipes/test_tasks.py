"""The section `task` of a configuration: which task, and its own settings."""

from typing import Any

import pytest

from cnnjax import recipes, tasks, training
from tests.recipes import own_parts

OWN = "tests.recipes.own_parts:Brightness"


def task_of(**section):
    return recipes.make_blueprint({"task": section}).task


def test_settings_reach_the_task_and_the_dataset_names_its_classes():
    task = task_of(loss_function="hinge", auxiliary_weight=0.3)
    assert task == tasks.Classification(tuple("0123456789"), "hinge", 0.0, 0.3)


def test_settings_that_are_not_given_have_the_tasks_defaults():
    settings = recipes.parse_config({"task": {"label_smoothing": 0.1}}).task.settings
    assert settings == {
        "loss_function": "softmax",
        "label_smoothing": 0.1,
        "auxiliary_weight": 0.0,
        "class_tree": "",
    }


def test_a_setting_may_be_the_path_of_a_function():
    task: Any = task_of(loss_function="tests.recipes.own_parts:absolute")
    assert task.loss_function is own_parts.absolute


def test_another_task_is_given_by_its_path_and_sets_the_number_of_outputs():
    blueprint = recipes.make_blueprint({"task": {"name": OWN, "factor": 3.0}})
    assert blueprint.task == own_parts.Brightness(3.0)
    assert blueprint.model.num_classes == 1
    (record,) = [part for part in blueprint.parts if part["kind"] == "task"]
    assert record["name"] == OWN and record["file"].endswith("own_parts.py")


def test_settings_of_the_default_task_are_no_settings_of_another():
    # Every configuration file starts with them.
    config: Any = recipes.default_config()
    with config.unlocked():
        config.task.name, config.task.factor = OWN, 2.0
    assert recipes.parse_config(config).task.settings == {"factor": 2.0, "power": 2}
    config.task.label_smoothing = 0.1
    with pytest.raises(training.ConfigError, match=r"config\.task\.label_smoothing is unknown"):
        recipes.parse_config(config)


def test_a_section_for_another_task_is_made_whole():
    assert recipes.task_section(OWN, factor=2.0).to_dict() == {
        "name": OWN,
        "factor": 2.0,
        "power": 2,
    }


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"label_smooting": 0.1}, r"task\.label_smooting is unknown; did you mean label_smoothing"),
        ({"xyz": 1}, r"task\.xyz is unknown; known: config\.task\.loss_function, .*auxiliary"),
        ({"loss_function": "softmx"}, r"loss_function: 'softmx' is unknown; known: softmax"),
        ({"label_smoothing": 1.5}, r"label_smoothing: 1\.5 was given; give 0 or more, below 1"),
        ({"label_smoothing": 0.1, "loss_function": "hinge"}, "belongs to softmax"),
        ({"name": "clasification"}, r"task\.name: .*did you mean classification"),
        ({"name": OWN}, r"config\.task\.factor: it has no default; give a value"),
        ({"name": OWN, "factor": 1.0, "facter": 1.0}, r"task\.facter is unknown; did you mean fac"),
        ({"name": "tests.recipes.own_parts:NoTask"}, "is no task; give a dataclass derived from"),
        ({"name": "tests.recipes.own_parts:Gone"}, r"config\.task\.name: .*Gone"),
        ({"name": "tests.recipes.gone:Task"}, r"config\.task\.name: .*tests\.recipes\.gone"),
    ],
)
def test_what_no_task_has_is_refused(section, message):
    with pytest.raises(training.ConfigError, match=message):
        task_of(**section)
