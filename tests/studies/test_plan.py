"""The runs that a study becomes."""

import pytest

from cnnjax import studies, training
from tests.studies.made_up import DEPTHS, KINDS, make_study


def test_every_setting_runs_with_every_seed_under_a_name_of_its_own():
    runs = studies.plan_runs(make_study())
    assert len(runs) == 12
    assert [run.name for run in runs[:5]] == [
        "kind-plain_depth-8_seed-0",
        "kind-plain_depth-20_seed-0",
        "kind-resnet_depth-8_seed-0",
        "kind-resnet_depth-20_seed-0",
        "kind-plain_depth-8_seed-1",
    ]
    last = runs[-1]
    assert (last.config.model.name, last.config.epochs, last.config.seed) == (
        "resnet14_cifar",
        2,
        2,
    )
    assert runs[0].config.model.name == "resnet20_cifar"  # the base is as it was


def test_a_change_of_the_seed_is_added_to_it():
    depths = studies.Factor("depth", {8: {"seed": 1000}, 20: {}})
    runs = studies.plan_runs(make_study(factors=[KINDS, depths]))
    assert {run.config.seed for run in runs} == {1000, 1001, 1002, 0, 1, 2}
    assert {run.seed for run in runs} == {0, 1, 2}


def test_tables_take_names_of_the_network_and_of_the_task():
    changes = {"model.overrides.shortcut": "none", "task.label_smoothing": 0.1}
    kinds = studies.Factor("kind", {"plain": changes, "resnet": {}})
    first = studies.plan_runs(make_study(factors=[kinds, DEPTHS]))[0].config
    assert first.model.overrides == {"shortcut": "none"}
    assert first.task.settings["label_smoothing"] == 0.1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimizer.learningrate": 1.0}, "did you mean config.optimizer.learning_rate"),
        ({"learning_rate": 1.0}, "did you mean config.optimizer.learning_rate"),
        ({"optimizer": {"learning_rate": 1.0}}, "config.optimizer is unknown"),
        ({"ema_decay": "x"}, "config.ema_decay: 'x' was given"),
        ({"task.smoothing": 0.1}, "did you mean label_smoothing"),
        ({"seed.x": 1}, "the run kind-bad_depth-8_seed-0"),
        ({"seed": "one"}, "the run kind-bad_depth-8_seed-0"),
    ],
)
def test_a_wrong_change_names_the_run_and_the_nearest_key(changes, message):
    kinds = studies.Factor("kind", {"bad": changes, "plain": {}})
    with pytest.raises(training.ConfigError, match=message) as raised:
        studies.plan_runs(make_study(factors=[kinds, DEPTHS]))
    assert "the run kind-bad_depth-8_seed-0" in str(raised.value)


def test_runs_are_chosen_by_name():
    runs = studies.plan_runs(make_study())
    assert studies.choose_runs(runs, []) == runs
    (chosen,) = studies.choose_runs(runs, ["kind-plain_depth-20_seed-1"])
    assert (chosen.labels, chosen.seed) == ({"kind": "plain", "depth": "20"}, 1)
    with pytest.raises(training.ConfigError, match="did you mean kind-plain_depth-20_seed-1"):
        studies.choose_runs(runs, ["kind-plain_depth-20_seed1"])
