"""Outcomes against a factor of numbers, and the power laws through them."""

from typing import Any

import numpy as np
import pytest

from cnnjax import studies, training
from cnnjax.studies.curves import curve_lines, outcome_curves
from tests.studies.made_up import KINDS, make_study

SIZES = (50, 100, 200, 400, 800, 1600)
LAWS = {"plain": (2.0, -0.5, 0.05), "resnet": (1.0, -0.4, 0.0)}


def a_study(guessing=0.9, **outcome):
    sizes = studies.Factor("images", {size: {"data.train_examples": size} for size in SIZES})
    compared = studies.Comparison("x", "error", {"images": 50}, {"images": 100})
    fields = {"curve": "images", "guessing": guessing, **outcome}
    return make_study(
        factors=[KINDS, sizes],
        outcomes=[studies.Outcome("error", studies.error, "%", **fields)],
        rule=studies.Rule("x", compared),
    )


def results_of(study, value):
    runs = studies.plan_runs(study)
    outcomes = {run.name: {"error": value(run)} for run in runs}
    verdict = studies.Verdict("undecided", "x", [])
    return studies.Results(study, runs, outcomes, {}, {}, [], verdict)


def error(run):
    """The power law of its kind, times 0.98, 1 or 1.02; the largest size is worse by a half."""
    alpha, beta, gamma = LAWS[run.labels["kind"]]
    size = float(run.labels["images"])
    value = (alpha * size**beta + gamma) * (0.98 + 0.02 * run.seed)
    return value * 1.5 if size == SIZES[-1] else value


def test_each_setting_of_the_other_factors_is_a_line_with_its_law():
    curves: Any = outcome_curves(results_of(a_study(), error))
    assert [curve.name for curve in curves] == ["kind-plain", "kind-resnet"]
    for curve, (alpha, beta, gamma) in zip(curves, LAWS.values(), strict=True):
        assert [point.x for point in curve.points] == list(SIZES)
        exact = alpha * 50.0**beta + gamma
        np.testing.assert_allclose(curve.points[0].mean, exact, rtol=1e-9)
        # Student's factor of two degrees of freedom is 4.3027.
        np.testing.assert_allclose(curve.points[0].half, 4.3027 * 0.02 * exact / 3**0.5, rtol=1e-4)
        fit = curve.fit
        np.testing.assert_allclose((fit.alpha, fit.beta), (alpha, beta), rtol=0.05)
        # The largest size is no part of the fit, and is found to lie off it.
        held_out = alpha * 1600.0**beta + gamma
        np.testing.assert_allclose(fit.predicted, held_out, rtol=0.03)
        np.testing.assert_allclose(fit.measured, 1.5 * held_out, rtol=1e-9)
        assert fit.predicted_high < fit.measured
    assert curves[0].fit.end == pytest.approx(1600, rel=0.2)
    page = list(curve_lines(curves))
    assert page[4].startswith("| error kind-plain | 2") and "| 1,600 |" in page[4]


def test_without_a_fit_there_is_no_table():
    curves = outcome_curves(results_of(a_study(guessing=0.0), error))
    assert [curve.fit for curve in curves] == [None, None]
    assert list(curve_lines(curves)) == []


def test_a_network_that_guesses_has_no_law(caplog):
    curves = outcome_curves(results_of(a_study(), lambda run: 0.9))
    assert [curve.fit for curve in curves] == [None, None]
    assert "error kind-plain: no power law is fitted: sizes: 0 points" in caplog.messages[0]


def test_results_have_the_curves(tmp_path):
    import json

    from cnnjax.studies.write_results import write_results

    results = results_of(a_study(), error)
    write_results(
        studies.Results(**{**vars(results), "seconds": dict.fromkeys(results.outcomes, 1.0)}),
        tmp_path,
    )
    curves = json.loads((tmp_path / "results.json").read_text())["curves"]
    assert [curve["name"] for curve in curves] == ["kind-plain", "kind-resnet"]
    assert "Power laws, error = alpha" in (tmp_path / "results.md").read_text()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"curve": "image"}, "factor 'image' is unknown; did you mean images"),
        ({"curve": "kind"}, "the level 'plain' of kind is no number above 0"),
        ({"curve": ""}, "guessing was given without curve; name a factor there"),
    ],
)
def test_a_curve_along_no_numbers_is_refused(fields, message):
    with pytest.raises(training.ConfigError, match=message):
        a_study(**fields)
