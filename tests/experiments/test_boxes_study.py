"""The study of boxes: what its runs differ in, and what its rule concludes."""

import pytest

from cnnjax import studies
from cnnjax.commands import find_study

FILE = find_study.READY / "boxes.py"
SIDES = {
    "small": ("smooth-l1", "squared"),
    "localization": ("smooth-l1", "squared"),
    "bccd": ("CIFAR-10", "scratch"),
}


@pytest.mark.parametrize("scale", SIDES)
def test_runs_differ_in_one_setting(scale):
    runs = studies.plan_runs(studies.load_study(FILE, scale))
    assert "study --study=boxes" in FILE.read_text()
    assert len(runs) == 6
    first, other = (
        next(run.config for run in runs if run.seed == 0 and side in run.labels.values())
        for side in SIDES[scale]
    )
    assert (first.data, first.optimizer, first.epochs) == (
        other.data,
        other.optimizer,
        other.epochs,
    )
    if scale == "bccd":
        assert first.task == other.task
        assert (first.model.part, other.model.weights) == ("encoder", "")
    else:
        assert first.model == other.model
        assert first.task.settings["box_loss"] == "smooth_l1"
        assert other.task.settings["box_loss"] == "squared"


def test_the_scales_are_those_of_the_file():
    assert set(studies.scales_of(FILE)) == set(SIDES)


@pytest.mark.parametrize(("gain", "supported"), [(0.1, True), (0.0, False)])
def test_the_rule_asks_for_a_gain(gain, supported):
    study = studies.load_study(FILE, "bccd")
    runs = studies.plan_runs(study)
    outcomes = {}
    for run in runs:
        trained = run.labels["start"] == "CIFAR-10"
        # The gain is not the same in each seed.
        value = 0.7 + 0.002 * (run.config.seed**2 % 3) * trained + gain * trained
        outcomes[run.name] = dict.fromkeys(("ap50", "ap", "ap75"), value)
    verdict = studies.make_verdict(study, runs, outcomes)
    assert (verdict.decision == "supported") == supported
