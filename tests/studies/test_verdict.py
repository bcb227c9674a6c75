"""Verdicts on made-up outcomes."""

import numpy as np
import pytest

from cnnjax import studies
from tests.studies.made_up import comparison, make_study, outcomes_of

RESIDUAL = {"more": {"kind": "resnet", "depth": 20}, "less": {"kind": "resnet", "depth": 8}}
CONTROL = {"more": {"kind": "resnet", "depth": 8}, "less": {"kind": "plain", "depth": 8}}


def study_with(others=(), control=None, **values):
    rule = studies.Rule("depth harms", comparison(**values), others, control)
    return make_study(rule=rule)


def verdict_of(study, value):
    return studies.make_verdict(study, studies.plan_runs(study), outcomes_of(study, value))


def harms(effect, spread=0.01):
    """Errors that depth raises by `effect` in plain networks, up to a spread between seeds."""

    def error(run):
        deep_plain = run.labels == {"kind": "plain", "depth": "20"}
        return 0.1 + deep_plain * (effect + spread * (run.seed - 1)) + 0.05 * run.seed

    return error


@pytest.mark.parametrize(
    ("effect", "decision"),
    [(0.2, "supported"), (0.0, "not supported"), (-0.2, "not supported"), (0.1, "undecided")],
)
def test_the_primary_comparison_decides(effect, decision):
    verdict = verdict_of(study_with(at_least=0.1), harms(effect))
    assert verdict.decision == decision
    (primary,) = verdict.comparisons
    assert primary.decided is not None
    assert primary.decided.mean == pytest.approx(effect)


def test_seeds_are_paired():
    """What all runs of a seed share cancels, however large it is."""
    verdict = verdict_of(study_with(at_least=0.1), lambda run: harms(0.2)(run) + 100 * run.seed)
    assert verdict.decision == "supported"


def test_other_comparisons_are_corrected_and_decide_nothing():
    other = comparison("residual networks too", **RESIDUAL)
    verdict = verdict_of(study_with(others=[other, other]), harms(0.2))
    assert [tested.role for tested in verdict.comparisons] == ["primary", "other", "other"]
    assert verdict.comparisons[0].decided and verdict.comparisons[0].decided.level == 0.05
    assert verdict.comparisons[1].decided and verdict.comparisons[1].decided.level == 0.025
    assert verdict.comparisons[1].decision == "undecided"
    assert verdict.decision == "supported"


def test_a_supported_control_takes_the_verdict_away():
    control = comparison("residual over plain", **CONTROL)
    study = study_with(control=control)
    assert verdict_of(study, harms(0.2)).decision == "supported"

    def suspicious(run):
        shallow = run.labels == {"kind": "resnet", "depth": "8"}
        return harms(0.2)(run) + shallow * (0.1 + 0.01 * run.seed)

    verdict = verdict_of(study, suspicious)
    assert verdict.decision == "undecided"
    assert "support the control" in verdict.reason


def test_a_missing_run_leaves_its_comparison_undecided():
    study = study_with(others=[comparison("residual networks too", **RESIDUAL)], at_least=0.1)
    outcomes = outcomes_of(study, harms(0.2))
    del outcomes["kind-plain_depth-20_seed-1"]
    verdict = studies.make_verdict(study, studies.plan_runs(study), outcomes)
    assert verdict.decision == "undecided"
    assert "1 run is missing of the primary comparison" in verdict.reason
    assert verdict.comparisons[0].missing == ["kind-plain_depth-20_seed-1"]
    assert verdict.comparisons[1].decided is not None


def test_levels_that_are_not_named_are_averaged():
    both = {"more": {"depth": 20}, "less": {"depth": 8}}
    verdict = verdict_of(study_with(**both), harms(0.2))
    assert verdict.comparisons[0].decided is not None
    assert verdict.comparisons[0].decided.mean == pytest.approx(0.1)


def test_noise_is_rarely_a_verdict():
    study = study_with(control=comparison("residual over plain", **CONTROL))
    runs = studies.plan_runs(study)
    draw = np.random.default_rng(1)
    decided = 0
    for _ in range(1000):
        outcomes = {run.name: {"error": draw.normal()} for run in runs}
        decided += studies.make_verdict(study, runs, outcomes).decision != "undecided"
    assert decided <= 65
