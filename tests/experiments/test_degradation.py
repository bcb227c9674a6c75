"""The study of degradation: its runs, its sizes, and what its rule concludes."""

import math

import pytest

from cnnjax import recipes, studies
from cnnjax.commands import find_study

FILE = find_study.READY / "degradation.py"
SCALES = list(studies.scales_of(FILE))


@pytest.mark.parametrize("scale", SCALES)
def test_plain_and_residual_networks_differ_in_their_shortcuts_alone(scale):
    runs = studies.plan_runs(studies.load_study(FILE, scale))
    assert "study --study=degradation" in FILE.read_text()
    by_labels = {tuple(run.labels.values()): run.config for run in runs if run.seed == 0}
    depths = sorted({int(depth) for _, depth in by_labels})
    for depth in map(str, depths):
        plain, residual = by_labels["plain", depth], by_labels["resnet", depth]
        assert plain.model.name == f"plain{depth}_cifar"
        assert residual.model.name == f"resnet{depth}_cifar"
        assert plain.data == residual.data and plain.optimizer == residual.optimizer
        assert (plain.schedule, plain.epochs) == (residual.schedule, residual.epochs)
    control, first = by_labels["control", str(depths[0])], by_labels["plain", str(depths[0])]
    assert control.model_copy(update={"seed": 0}) == first
    assert control.seed not in {run.config.seed for run in runs if run.labels["kind"] == "plain"}


def test_the_whole_recipe_is_the_papers():
    runs = studies.plan_runs(studies.load_study(FILE, "paper"))
    depths = {run.labels["depth"] for run in runs if run.labels["kind"] == "resnet"}
    assert depths == {"20", "32", "44", "56"}
    config = runs[0].config
    blueprint = recipes.make_blueprint(config)
    # Section 4.2: 64,000 iterations of 128 images.
    images = config.epochs * blueprint.dataset.split_sizes["train"]
    assert images == pytest.approx(64_000 * 128, rel=0.01)


def verdict_of(error, scale="small"):
    study = studies.load_study(FILE, scale)
    runs = studies.plan_runs(study)
    outcomes = {}
    for run in runs:
        value = error(run.labels["kind"], int(run.labels["depth"]), run.config.seed)
        outcomes[run.name] = {"training_error": value, "test_error": value + 0.02}
    return studies.make_verdict(study, runs, outcomes)


def noise(kind, depth, seed):
    """Returns a small number that is different for each kind, depth and seed."""
    return 0.002 * math.sin(7 * seed + depth + len(kind))


def test_degradation_is_recognized_and_the_control_is_not_supported():
    def degrading(kind, depth, seed):
        return 0.01 + noise(kind, depth, seed) + (depth / 400 if kind == "plain" else 0)

    verdict = verdict_of(degrading)
    decisions = {tested.role: tested.decision for tested in verdict.comparisons}
    assert verdict.decision == "supported"
    assert decisions["control"] != "supported"
    assert [tested.decision for tested in verdict.comparisons] == [
        "supported",
        "supported",
        "supported",
        "not supported",
        "not supported",
    ]


def test_networks_that_learn_better_with_depth_do_not_degrade():
    def improving(kind, depth, seed):
        return 0.3 + noise(kind, depth, seed) - depth / 400

    assert verdict_of(improving).decision == "not supported"
