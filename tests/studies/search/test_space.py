"""Settings are drawn from the distributions that were declared."""

from typing import Any, cast

import numpy as np
import pytest
from scipy import stats

from cnnjax import studies, training
from cnnjax.studies.search.space import decoded, described, draw
from tests.studies.search.made_up import DECAY, RATE, SPACE, make_search


@pytest.fixture(scope="module")
def settings():
    """400 settings by key."""
    drawn = [decoded(SPACE, draw(SPACE, 7, number)) for number in range(400)]
    return {key: [each[key] for each in drawn] for key in SPACE}


def test_numbers_follow_their_distributions(settings):
    """By Kolmogorov and Smirnov's test; 1 in 1,000 right samples would be rejected."""
    for key, values in (
        (RATE, np.log10(settings[RATE]) / 4 + 1),
        (DECAY, np.divide(settings[DECAY], 0.5)),
    ):
        assert stats.kstest(values, "uniform").pvalue > 1e-3, key
        assert 0 <= min(values) < 0.02 and 0.98 < max(values) <= 1


def test_whole_numbers_and_choices_are_all_drawn_equally_often(settings):
    sizes = settings["data.batch_size"]
    assert set(sizes) <= set(range(8, 65)) and {8, 64} <= set(sizes)
    assert all(type(size) is int for size in sizes)
    counts = [sum(low <= size < low + 19 for size in sizes) for low in (8, 27, 46)]
    assert stats.chisquare(counts).pvalue > 1e-3
    widths = settings["model.overrides.widths"]
    counts = [widths.count(value) for value in ((4,), (8, 8), None)]
    assert sum(counts) == 400 and stats.chisquare(counts).pvalue > 1e-3


def test_logarithms_of_whole_numbers_are_equally_likely():
    space = {"epochs": studies.Integers(1, 1000, log=True)}
    values = [decoded(space, draw(space, 0, number))["epochs"] for number in range(200)]
    below = sum(value <= 31 for value in values)
    assert 70 < below < 130


def test_settings_of_one_key_do_not_depend_on_another_one(settings):
    """The correlation of 400 independent pairs has a standard deviation of 1 / 20."""
    rates, decays = np.log(settings[RATE]), np.asarray(settings[DECAY])
    for one, other in ((rates, decays), (rates[1:], rates[:-1])):
        assert abs(np.corrcoef(one, other)[0, 1]) < 3.3 / 20


def test_a_trial_depends_on_seed_and_number_alone():
    first, again = make_search(), make_search(trials=40)
    plans = [studies.plan_trial(search, 3).config for search in (first, again)]
    assert plans[0] == plans[1]
    assert plans[0] != studies.plan_trial(first, 4).config
    assert plans[0] != studies.plan_trial(make_search(seed=1), 3).config


def test_values_of_choices_keep_their_kind():
    space = {"model.overrides.a": studies.Choices([1, True, "1", 1.5, (1, 2)])}
    found = {repr(decoded(space, draw(space, 0, n))["model.overrides.a"]) for n in range(60)}
    assert found == {"1", "True", "'1'", "1.5", "(1, 2)"}
    assert described(space["model.overrides.a"]) == "Choices([1, True, '1', 1.5, (1, 2)])"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: studies.Uniform(1, 0), r"Uniform\(1, 0\): the first number must be the smaller"),
        (lambda: studies.Uniform(cast(Any, "0"), 1), r"Uniform\('0', 1\): give two numbers"),
        (lambda: studies.Uniform(0, float("inf")), "give two numbers"),
        (lambda: studies.LogUniform(0, 1), r"LogUniform\(0, 1\): logarithms need a range above 0"),
        (
            lambda: studies.Integers(1, cast(Any, 2.5)),
            r"Integers\(1, 2.5, log=False\): give two whole numbers",
        ),
        (lambda: studies.Integers(True, 2), "give two whole numbers"),
        (lambda: studies.Integers(0, 8, log=True), "logarithms need a range above 0"),
        (lambda: studies.Choices("sgd"), "give a list of values"),
        (lambda: studies.Choices([1]), "give two different values or more"),
        (lambda: studies.Choices([1, 1]), "give two different values or more"),
        (lambda: studies.Choices([1, object()]), "give text, numbers"),
    ],
)
def test_what_is_no_distribution_is_refused(make, message):
    with pytest.raises(training.ConfigError, match=message):
        make()
