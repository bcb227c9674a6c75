"""The studies of labels: what they plan, which examples they see, and their smallest runs."""

import functools
from pathlib import Path

import numpy as np
import pytest

from cnnjax import studies, training
from cnnjax.configurations.studies import label_curve
from cnnjax.studies.context import RunContext
from tests.helpers.fixtures import standard_promotion

__all__ = ["standard_promotion"]
FOLDER = Path(label_curve.__file__).parent


@pytest.mark.parametrize(
    ("name", "scale", "runs", "sources"),
    [
        ("label_curve", "curve", 150, 15),
        ("label_curve", "tuning", 40, 4),
        ("label_curve", "small", 8, 2),
        ("scaling", "small", 42, 0),
        ("scaling", "tiny", 12, 0),
    ],
)
def test_the_planned_runs_are_counted(name, scale, runs, sources):
    study = studies.load_study(FOLDER / f"{name}.py", scale)
    assert len(studies.plan_runs(study)) == runs
    assert len(studies.plan_sources(study)) == sources


@pytest.mark.parametrize(("name", "scale"), [("label_curve", "curve"), ("scaling", "small")])
def test_epochs_are_long_enough_for_all_images(name, scale):
    """Of more images than an epoch has, some would never be seen; less than a batch is left."""
    study = studies.load_study(FOLDER / f"{name}.py", scale)
    for run in studies.plan_all(study):
        seen = label_curve.BATCH * run.config["epoch_steps"]
        assert run.config["labels"] - seen < label_curve.BATCH, run.name


def digests(examples):
    return {image.tobytes() for image in examples.column("image")}


@pytest.fixture(scope="module")
def make(data_dir):
    context = RunContext({}, 0, data_dir=data_dir, sources={"near": "x"})

    @functools.cache
    def make(**changes):
        return label_curve.make_run({**label_curve.BASE, "seed": 0, **changes}, context)

    return make


def test_labels_are_balanced_nested_and_no_test_image_is_trained_on(make):
    few, more = make(labels=20), make(labels=50)
    for run, count in ((few, 20), (more, 50)):
        assert len(digests(run.main.examples)) == count
        assert run.total_steps == 12 * 22
    seen = digests(few.main.examples)
    assert seen < digests(more.main.examples)
    labels = {i.tobytes(): int(n) for i, n in zip(
        few.main.examples.column("image"), few.main.examples.column("label"), strict=True
    )}  # fmt: skip
    assert np.bincount(list(labels.values())).tolist() == [2] * 10
    everything = make()
    assert len(digests(everything.main.examples) & digests(everything.test)) == 0


def test_validation_digits_are_neither_trained_on_nor_test_digits(make):
    run = make(labels=100, validation=True)
    assert len(run.test) == label_curve.VALIDATION and run.split == "validation"
    assert not digests(run.test) & digests(run.main.examples)
    assert not digests(run.test) & digests(make(labels=20).test)


def test_a_frozen_start_trains_the_classifier_alone(make):
    run = make(labels=20, source="near", train="frozen")
    frozen = run.freezing.frozen(run.replace(start=None).init_state().params)
    assert {name for name, layer in frozen.items() if not any(layer.values())} == {"classifier"}


def test_more_labels_than_there_are_are_refused(data_dir):
    study = studies.load_study(FOLDER / "label_curve.py", "small")
    many = studies.Factor("labels", {1437: {"labels": 1437}, 2000: {"labels": 2000}})
    compared = studies.Comparison("x", "test_error", {"labels": 2000}, {"labels": 1437})
    changed = {"factors": [many], "rule": studies.Rule("x", compared), "sources": []}
    with pytest.raises(training.ConfigError, match="labels: 2000 were requested of 1437 examples"):
        studies.study_costs(studies.Study(**{**vars(study), **changed}), data_dir)


@pytest.mark.slow
def test_the_smallest_studies_run(tmp_path, data_dir):
    for name, scale in (("label_curve", "small"), ("scaling", "tiny")):
        study = studies.load_study(FOLDER / f"{name}.py", scale)
        options = studies.WorkOptions(data_dir=data_dir)
        results = studies.run_study(study, tmp_path / name, options=options)
        assert len(results.outcomes) == len(results.runs)
