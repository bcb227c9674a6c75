"""The studies of domains and novel classes: disjoint sets, equal steps, and no label too many."""

import re

import jax
import numpy as np
import pytest

from cnnjax import data, studies
from cnnjax.commands import find_study
from cnnjax.configurations.studies import (
    base_to_novel,
    domain_adaptation,
    domain_generalization,
)
from cnnjax.transfer import domains

STUDIES = {
    "base_to_novel": base_to_novel,
    "domain_adaptation": domain_adaptation,
    "domain_generalization": domain_generalization,
}
CASES = [(name, scale) for name, module in STUDIES.items() for scale in module.SCALES]


def keys(*sets):
    """Returns the set of the images' pixels, which identify them, and their number."""
    images = [image.tobytes() for examples in sets for image in examples.column("image")]
    return set(images), len(images)


def context(**labels):
    return studies.RunContext(labels, seed=1)


@pytest.mark.parametrize(("name", "scale"), CASES)
def test_a_scale_states_its_number_of_runs(name, scale):
    study = studies.load_study(find_study.READY / f"{name}.py", scale)
    stated = re.match(r"(\d+) runs", STUDIES[name].SCALES[scale])
    assert stated is not None and len(studies.plan_runs(study)) == int(stated[1])
    assert len(study.seeds) == (2 if scale == "trial" else 5)
    assert f"study --study={name}" in (STUDIES[name].__doc__ or "")


def test_adaptation_has_no_digit_in_two_sets():
    # In one look, so that equal digits would have equal pixels.
    sets = domain_adaptation.make_sets(
        {**domain_adaptation.SMALL, "look": "as it is", "size": 0}, None
    )
    found, count = keys(*sets[:-1])
    assert len(found) == count
    assert keys(sets.source_test)[0] == keys(sets.target_test)[0]


@pytest.fixture(scope="module")
def adapting():
    """The three kinds of runs, with few pixels."""
    settings = {**domain_adaptation.BASES["trial"], "seed": 0}
    return {
        method: domain_adaptation.make_run({**settings, **changes}, context())
        for method, changes in domain_adaptation.METHODS.items()
    }


def test_adaptation_has_equal_steps_and_batches_of_labeled_digits(adapting):
    assert len({(run.total_steps, run.first_batch_size) for run in adapting.values()}) == 1
    assert len({len(run.main.examples) for run in adapting.values()}) == 1
    assert len({run.test.identity()["shifted"]["chosen"] for run in adapting.values()}) == 1
    assert adapting["dann"].task.total_steps == adapting["dann"].total_steps


def test_only_dann_sees_the_target_and_without_labels(adapting):
    assert list(adapting["source-only"].streams) == list(adapting["target"].streams) == ["source"]
    unlabeled = adapting["dann"].streams["unlabeled"].examples
    assert list(unlabeled.spec) == ["image"]
    target = adapting["target"].main.examples
    np.testing.assert_array_equal(unlabeled.column("image"), target.column("image"))
    assert not keys(unlabeled)[0] & keys(adapting["source-only"].main.examples)[0]


def test_generalization_never_sees_the_domain_that_is_left_out():
    settings = {**domain_generalization.SMALL, "size": 0, "seed": 0, "left_out": "30"}
    train, held_out = domain_generalization.make_domains(settings, None)
    runs = {
        method: domain_generalization.make_run({**settings, **changes}, context())
        for method, changes in domain_generalization.METHODS.items()
    }
    others = [name for name in train if name != "30"]
    assert len(others) == 5
    for run in runs.values():
        assert keys(run.main.examples)[0] == keys(*(train[name] for name in others))[0]
        assert keys(run.test)[0] == keys(*(held_out[name] for name in others))[0]
        assert not keys(run.main.examples)[0] & keys(run.test)[0]
        task = run.task
        assert isinstance(task, domains.GroupClassification)
        assert task.group_names == tuple(others)
    assert len({run.total_steps for run in runs.values()}) == 1
    assert [type(run.task) for run in runs.values()] == [
        domains.GroupClassification,
        domains.GroupDRO,
    ]


@pytest.mark.parametrize("count", [1, 5])
def test_novel_classes_have_few_labels_and_no_image_among_the_base(count):
    settings = {**base_to_novel.SMALL, "labels": count, "seed": 0}
    sets, split = base_to_novel.make_sets(settings, context())
    assert sorted(split.base + split.novel) == list(range(10))
    assert np.bincount(sets.labeled.column("label")).tolist() == [count] * 4
    found, total = keys(*sets)
    assert len(found) == total
    whole = data.load_examples(data.dataset("digits"), "test")
    own = np.isin(whole.column("label"), split.novel)
    assert keys(sets.test)[0] == keys(data.choose(whole, np.flatnonzero(own)))[0]
    runs = [
        base_to_novel.make_run({**settings, **changes}, context())
        for changes in base_to_novel.STARTS.values()
    ]
    assert [run.total_steps for run in runs] == [600, 600]
    assert keys(runs[0].main.examples)[0] == keys(sets.base)[0]
    assert keys(runs[1].main.examples)[0] == keys(sets.labeled)[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", STUDIES)
def test_a_trial_measures_every_outcome(name, tmp_path):
    study = studies.load_study(find_study.READY / f"{name}.py", "trial")
    # As a user runs it.
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        results = studies.run_study(study, tmp_path)
    assert not results.failures
    for outcomes in results.outcomes.values():
        assert set(outcomes) == {outcome.name for outcome in study.outcomes}
        assert all(0 <= value <= 1 for value in outcomes.values())
