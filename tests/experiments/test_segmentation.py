"""The study of segmentation: its runs, its thresholds, and what its rule concludes."""

import itertools

import numpy as np
import pytest

from cnnjax import models, studies
from cnnjax.analysis import summarize
from cnnjax.commands import find_study
from cnnjax.configurations.studies import segmentation

FILE = find_study.READY / "segmentation.py"


def runs_of(scale):
    study = studies.load_study(FILE, scale)
    return study, studies.plan_runs(study)


def test_the_networks_differ_alone():
    assert "study --study=segmentation" in FILE.read_text()
    _, runs = runs_of("whole")
    by_label = {(run.labels["network"], run.config.seed): run.config for run in runs}
    unet, naive = by_label["unet", 1], by_label["naive", 1]
    assert unet.model_copy(update={"model": naive.model}) == naive
    assert by_label["control", 1001].model_copy(update={"seed": 1}) == unet


@pytest.mark.slow
def test_the_networks_cost_the_same():
    _, runs = runs_of("whole")
    configs = {run.labels["network"]: run.config for run in runs}
    costs = [
        summarize(
            models.create_model(
                configs[name].model.name, num_classes=11, **dict(configs[name].model.overrides)
            ),
            (64, 64, 1),
        ).multiply_adds
        for name in ("unet", "naive")
    ]
    assert costs[1] == pytest.approx(costs[0], rel=0.02)


def test_otsu_maximizes_the_variance_between_two_groups():
    draws = np.random.default_rng(0)
    image = np.concatenate([draws.normal(60, 15, 300), draws.normal(170, 25, 200)])
    image = np.clip(image, 0, 255).astype(np.uint8).reshape(20, 25)

    def between(threshold):
        dark, light = image[image <= threshold], image[image > threshold]
        if not dark.size or not light.size:
            return 0
        return dark.size * light.size * (dark.mean() - light.mean()) ** 2

    best = max(range(256), key=between)
    assert between(segmentation.otsu_threshold(image)) == pytest.approx(between(best))


@pytest.mark.parametrize("lighter", [True, False])
def test_the_common_threshold_is_the_best_of_all(lighter):
    draws = np.random.default_rng(1)
    ink = draws.random((3, 8, 8)) < 0.3
    images = draws.integers(0, 160, ink.shape) + 60 * ink
    images = (images if lighter else 255 - images).astype(np.uint8)
    chosen = segmentation.best_threshold(images, ink)
    best = max(
        segmentation.iou(segmentation.found(images, *pair), ink)
        for pair in itertools.product(range(256), (True, False))
    )
    assert segmentation.iou(segmentation.found(images, *chosen), ink) == pytest.approx(best)
    assert chosen[1] == lighter


def verdict_of(values):
    study, runs = runs_of("whole")
    outcomes = {}
    for run in runs:
        # Other seeds give other differences, too.
        noise = np.sin(7 * run.config.seed + len(run.labels["network"]))
        value = values[run.labels["network"]] + 0.003 * noise
        outcomes[run.name] = {"mean_iou": value, "foreground_iou": value}
    return studies.make_verdict(study, runs, outcomes)


def test_a_lead_of_a_tenth_supports_the_claim_and_the_control_is_not_supported():
    verdict = verdict_of({"unet": 0.9, "naive": 0.7, "control": 0.9})
    decisions = {tested.role: tested.decision for tested in verdict.comparisons}
    assert verdict.decision == "supported" and decisions["control"] != "supported"
    assert verdict_of({"unet": 0.9, "naive": 0.85, "control": 0.9}).decision == "not supported"
