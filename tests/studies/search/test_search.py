"""What is wrong with a search is named before anything runs."""

import pytest

from cnnjax import studies, training
from cnnjax.studies.search.costs import TrialCosts, check_space, score_of
from tests.studies.search.made_up import RATE, make_search


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"base": {}},
            "data.validation_examples is 0, so that settings would be chosen on the test",
        ),
        ({"base": {"epoch": 3}}, "config.epoch is unknown"),
        ({"trials": None}, "neither trials nor budget was given"),
        ({"trials": 0}, "search.trials: 0 was given; give 1 or more"),
        ({"trials": None, "budget": -1}, "search.budget: -1 was given"),
        ({"seed": "a"}, "search.seed: 'a' was given"),
        ({"seeds": ()}, r"search.seeds: \[\] was given"),
        ({"seeds": (1, 1)}, r"search.seeds: \[1, 1\] was given"),
        ({"retrain_on": "test"}, "search.retrain_on: 'test' was given; give 'train' or"),
        ({"pruning": 3}, r"search.pruning: 3 was given; give studies.Halving"),
        ({"pruning": studies.Halving(9)}, "first is 9, and a trial has 9 epochs"),
        ({"space": {}}, "search.space: give distributions by key"),
        ({"space": {RATE: (0, 1)}}, r"optimizer.learning_rate has \(0, 1\); give studies.Uniform"),
        (
            {"space": {"optimizer.learning_rat": studies.Uniform(0.1, 1)}},
            "does not fit optimizer.learning_rat: .* did you mean config.optimizer.learning_rate",
        ),
        (
            {"space": {RATE: studies.Uniform(0, 1)}},
            r"Uniform\(0, 1\) does not fit optimizer.learning_rate: .*greater than 0",
        ),
        (
            {"space": {"data.batch_size": studies.Uniform(8, 64)}},
            r"Uniform\(8, 64\) does not fit data.batch_size: .*valid integer",
        ),
        (
            {"space": {"optimizer.momentum": studies.Uniform(0.5, 1.5)}},
            "does not fit optimizer.momentum: .*less than 1",
        ),
        (
            {"space": {"optimizer.name": studies.Choices(["sgd", "adma"])}},
            "does not fit optimizer.name: .*did you mean adam",
        ),
        (
            {"space": {f"{RATE}.peak": studies.Uniform(0.1, 1)}},
            "learning_rate.peak is unknown: config.optimizer.learning_rate is a value",
        ),
        ({"space": {"seed": studies.Integers(0, 9)}}, "seed is the same in all trials"),
        (
            {"space": {"data.validation_examples": studies.Integers(1, 9)}},
            "data.validation_examples is the same in all trials",
        ),
    ],
)
def test_what_cannot_be_searched_is_refused(changes, message):
    with pytest.raises(training.ConfigError, match=message):
        make_search(**changes)


@pytest.mark.parametrize(("first", "factor"), [(0, 3), (1, 1), (1.5, 3), (True, 2)])
def test_halving_takes_whole_numbers(first, factor):
    with pytest.raises(training.ConfigError, match=r"search.pruning: (first|factor) is"):
        studies.Halving(first, factor)


def test_an_end_of_a_range_that_fits_no_network_is_named(data_dir):
    space = {"model.overrides.widths": studies.Choices([(4, 4), (4, "x")])}
    base = {"model": {"name": "simple_cnn"}, "data": {"validation_examples": 100}}
    with pytest.raises(
        training.ConfigError, match=r"Choices\(.*\) does not fit model.overrides.widths: "
    ):
        check_space(make_search(base=base, space=space), TrialCosts(data_dir))
    space = {"data.batch_size": studies.Integers(64, 5000)}
    with pytest.raises(
        training.ConfigError, match=r"Integers\(64, 5000.*does not fit data.batch_size"
    ):
        check_space(make_search(base=base, space=space), TrialCosts(data_dir))


def test_the_metric_is_the_tasks_or_has_a_known_direction():
    assert score_of(make_search()) == ("accuracy", True) or vars(score_of(make_search())) == {
        "metric": "accuracy",
        "higher_is_better": True,
    }
    assert not score_of(make_search(metric="loss")).higher_is_better
    with pytest.raises(training.ConfigError, match="the direction of 'top5_error' is not known"):
        score_of(make_search(metric="top5_error"))
    assert not score_of(make_search(metric="top5_error", higher_is_better=False)).higher_is_better


def test_a_budget_below_one_trial_is_refused(tmp_path, data_dir):
    base = {
        "model": {"name": "tests.studies.tiny_net:TinyNet"},
        "data": {"validation_examples": 100},
    }
    search = make_search(base=base, space={RATE: studies.Uniform(0.1, 1)}, trials=None, budget=1000)
    options = studies.WorkOptions(data_dir=data_dir)
    with pytest.raises(training.ConfigError, match=r"search.budget: 1e.03 .* less than one trial"):
        studies.run_search(search, tmp_path / "search", options=options)
    assert not (tmp_path / "search").exists()
