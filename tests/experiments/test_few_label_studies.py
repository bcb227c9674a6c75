"""The studies of FixMatch, prototypical nets and SimCLR: no leaks, equal steps, a whole trial."""

import re
from functools import partial

import jax
import numpy as np
import pytest

from cnnjax import studies, training
from cnnjax.configurations.studies import few_shot, self_supervised, semi_supervised
from tests.helpers.processes import ROOT

STUDIES = {
    "few_shot": few_shot,
    "self_supervised": self_supervised,
    "semi_supervised": semi_supervised,
}
FOLDER = ROOT / "cnnjax" / "configurations" / "studies"


@pytest.mark.parametrize("name", STUDIES)
def test_each_scale_has_the_number_of_runs_that_it_states(name):
    for scale, text in STUDIES[name].SCALES.items():
        planned = studies.plan_runs(studies.load_study(FOLDER / f"{name}.py", scale))
        stated = re.match(r"(\d+) runs", text)
        assert stated is not None and len(planned) == int(stated[1]), scale


def made(module, data_dir, scale="small", **changes):
    settings = {**module.BASES[scale], "seed": 3, **changes}
    return module.make_run(settings, studies.RunContext({}, 3, data_dir))


def images_of(examples):
    return {image.tobytes() for image in examples.column("image")}


def test_no_image_is_in_two_parts_of_the_semi_supervised_study(data_dir):
    run = made(semi_supervised, data_dir, method="fixmatch")
    _, held = semi_supervised.divided(
        semi_supervised.BASES["small"], studies.RunContext({}, 3, data_dir)
    )
    parts = [run.streams["labeled"].examples, run.streams["unlabeled"].examples, held, run.test]
    found = [images_of(part) for part in parts]
    assert len(set.union(*found)) == sum(map(len, found))
    assert [len(part) for part in found] == [40, 1437 - 237 - 40, 237, 360]
    assert "label" not in run.streams["unlabeled"].examples.spec
    assert np.bincount(run.streams["labeled"].examples.column("label")).tolist() == [200] * 10


def test_methods_of_the_semi_supervised_study_take_equal_steps(data_dir):
    runs = {
        method: made(semi_supervised, data_dir, method=method) for method in semi_supervised.METHODS
    }
    assert [runs[name].total_steps for name in ("supervised", "strong", "fixmatch")] == [2000] * 3
    # All labels come equally often: their last epoch is whole.
    assert 2000 <= runs["all"].total_steps < 2000 * 1.03
    assert {run.main.batch_size for run in runs.values()} == {20}


def test_no_image_is_in_two_parts_of_the_self_supervised_study(data_dir):
    context = studies.RunContext({}, 3, data_dir)
    parts = self_supervised.divided(self_supervised.BASES["small"], context)
    train, labeled, held = (images_of(parts[name]) for name in ("train", "labeled", "validation"))
    assert labeled < train and not train & held
    assert (len(train), len(labeled), len(held)) == (1200, 100, 237)
    simclr, supervised = (
        made(self_supervised, data_dir, method=method) for method in ("simclr", "supervised")
    )
    assert images_of(simclr.main.examples) == train
    assert list(simclr.main.examples.spec) == ["image"]
    assert images_of(supervised.main.examples) == labeled
    assert simclr.total_steps == supervised.total_steps == 1000
    assert simclr.test is None is supervised.test


def test_novel_classes_are_in_no_training(data_dir):
    settings = few_shot.BASES["small"]
    contexts = [studies.RunContext({}, seed, data_dir) for seed in range(5)]
    by_seed = [few_shot.divided(settings, context) for context in contexts]
    for classes in by_seed:
        assert sorted(sum(classes.values(), ())) == list(range(100))
        assert classes["validation"] == by_seed[0]["validation"]
    assert len({classes["novel"] for classes in by_seed}) == 5
    run = made(few_shot, data_dir)
    every, test = (
        few_shot.load(settings, split, studies.RunContext({}, 3, data_dir))
        for split in ("train", "test")
    )
    labels, classes = every.column("label"), by_seed[3]
    pixels = every.column("image")
    base = {image.tobytes() for image in pixels[np.isin(labels, classes["base"])]}
    assert images_of(run.main.examples) == base
    novel = test.column("image")[np.isin(test.column("label"), classes["novel"])]
    assert run.test is not None
    assert images_of(run.test) == {image.tobytes() for image in novel}
    # No image of two digits has a digit of the other split.
    halves = [
        {
            half.tobytes()
            for half in images.reshape(-1, 8, 2, 8).transpose(0, 2, 1, 3).reshape(-1, 8, 8)
        }
        for images in (pixels, test.column("image"))
    ]
    assert len(halves[0]) > 1000 and not halves[0] & halves[1]


def test_methods_of_the_few_shot_study_take_equal_steps_of_equal_size(data_dir):
    runs = [made(few_shot, data_dir, method=name) for name in ("prototypes", "classifier")]
    assert runs[0].total_steps == runs[1].total_steps >= 1980
    assert runs[0].first_batch_size == runs[1].first_batch_size == 120


def test_more_labels_than_there_are_are_refused(data_dir):
    with pytest.raises(ValueError, match="500 labels of each class were requested, but class"):
        made(semi_supervised, data_dir, labels=500)
    with pytest.raises(ValueError, match="novel: 0 was given"):
        made(few_shot, data_dir, base_classes=80)


@pytest.fixture
def standard_promotion():
    """What optax's schedules need."""
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.mark.slow
@pytest.mark.usefixtures("standard_promotion")
@pytest.mark.parametrize("name", STUDIES)
def test_a_trial_runs_to_its_verdict(name, tmp_path, data_dir):
    study = studies.load_study(FOLDER / f"{name}.py", "trial")
    options = studies.WorkOptions(data_dir=data_dir)
    results = studies.run_study(study, tmp_path, options=options)
    planned = studies.plan_runs(study)
    assert len(results.outcomes) == len(planned) and not results.failures
    assert results.verdict.decision in ("supported", "not supported", "undecided")
    for outcomes in results.outcomes.values():
        assert all(0 <= value <= 1 for value in outcomes.values())


@pytest.mark.slow
@pytest.mark.usefixtures("standard_promotion")
def test_the_encoder_is_as_it_was_after_the_probe(tmp_path, data_dir):
    run = made(self_supervised, data_dir, "trial")
    result = training.fit(run, progress=False)
    before = {name: np.array(leaf) for name, leaf in leaves(result.variables)}
    trained = studies.Trained(run, result, tmp_path, studies.RunContext({}, 3, data_dir))
    measure = partial(self_supervised.error_of, self_supervised.BASES["trial"], "test")
    assert 0 < measure(trained) < 1
    for name, leaf in leaves(result.variables):
        np.testing.assert_array_equal(before[name], leaf)


def leaves(tree):
    return [(jax.tree_util.keystr(path), leaf) for path, leaf in jax.tree.leaves_with_path(tree)]
