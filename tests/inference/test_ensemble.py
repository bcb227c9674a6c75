"""Networks that judge together: probabilities averaged, disagreements refused."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from cnnjax import data, training
from cnnjax.inference.ensemble import Ensemble, load_ensemble
from cnnjax.inference.views import Views


@pytest.fixture(scope="module")
def other(finished, tmp_path_factory):
    """A run of another configuration that holds the same network's checkpoints."""
    workdir = tmp_path_factory.mktemp("other") / "run"
    shutil.copytree(finished[0], workdir)
    return workdir


def change(workdir, **values):
    path = workdir / "config.json"
    config = json.loads(path.read_text())
    config["data"] |= values
    path.write_text(json.dumps(config))


def test_probabilities_of_checkpoints_are_averaged(finished, data_dir):
    ensemble = load_ensemble([finished[0]], steps=[2, 6], data_dir=data_dir)
    runs = [training.load_run(finished[0], step, data_dir) for step in (2, 6)]
    images = runs[0].images[:50]
    expected = np.mean([run.predict(images) for run in runs], axis=0)
    np.testing.assert_allclose(ensemble.predict(images), expected, rtol=1e-4, atol=1e-7)
    assert [member["step"] for member in ensemble.describe()] == [2, 6]


def test_the_last_checkpoints_of_several_runs(finished, other, data_dir):
    ensemble = load_ensemble([finished[0], other], last=2, data_dir=data_dir)
    assert [m.step for m in ensemble.members] == [4, 6, 4, 6]
    assert [m.workdir for m in ensemble.members] == [finished[0]] * 2 + [other] * 2
    # The same networks twice: the mean is that of one run.
    images = ensemble.members[0].images[:20]
    once = load_ensemble([finished[0]], last=2, data_dir=data_dir)
    np.testing.assert_allclose(ensemble.predict(images), once.predict(images), rtol=1e-5)


def test_each_image_counts_once_whatever_is_shown_of_it(finished, data_dir):
    ensemble = load_ensemble([finished[0]], last=2, views=Views("ten"), data_dir=data_dir)
    assessed = ensemble.assess(batch_size=500)
    np.testing.assert_array_equal(
        assessed.class_totals, np.bincount(ensemble.members[0].labels, minlength=10)
    )
    run = ensemble.members[0]
    found = ensemble.predict(run.images[:64], batch_size=64)
    assert np.abs(found - run.predict(run.images[:64])).max() > 1e-3


def test_dense_views_move_the_network(finished, data_dir):
    dense = load_ensemble([finished[0]], views=Views("dense", scales=(24,)), data_dir=data_dir)
    whole = load_ensemble([finished[0]], views=Views("dense"), data_dir=data_dir)
    run = whole.members[0]
    images = run.images[:16]
    np.testing.assert_allclose(whole.predict(images), run.predict(images), rtol=1e-4, atol=1e-6)
    assert np.abs(dense.predict(images) - whole.predict(images)).max() > 1e-3


def test_photographs_are_framed_as_large_as_the_views_ask_for(tmp_path):
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        for place in range(4):
            folder = tmp_path / split / "ab"[place % 2]
            folder.mkdir(parents=True, exist_ok=True)
            pixels = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{place}.png")
    values = {"name": f"folder:{tmp_path}", "batch_size": 2, "resize": 20, "crop": 16}
    plan = training.make_plan(training.parse_config({"data": values}))
    variables = plan.init_state().eval_variables
    run = training.LoadedRun(plan, variables, 0, None, tmp_path)
    whole = Ensemble((run,))
    assert whole.form == ((16, 16, 3), data.Framing(20, 16))
    # Of an image whose shorter side is resized to 20, the central 16x16: what evaluation shows.
    center = Ensemble((run,), Views("center", scales=(20,)))
    assert center.form == ((20, 20, 3), data.Framing(20, 20))
    assert center.assess().examples == whole.assess().examples == 4
    assert center.assess().nll == pytest.approx(whole.assess().nll, rel=1e-4)
    other = dataclasses.replace(run, plan=dataclasses.replace(plan, framing=data.Framing(16, 16)))
    with pytest.raises(training.ConfigError, match="see other parts of a photograph"):
        Ensemble((run, other))


def test_runs_of_other_classes_or_images_are_refused(finished, other, data_dir, tmp_path):
    workdir = tmp_path / "run"
    shutil.copytree(other, workdir)
    change(workdir, validation_examples=1300)
    with pytest.raises(training.ConfigError, match=r"data.validation_examples is 1309 and 1300"):
        load_ensemble([finished[0], workdir], data_dir=data_dir)
    run = training.load_run(finished[0], data_dir=data_dir)
    letters = tuple("abcdefghij")
    lettered = dataclasses.replace(
        run,
        plan=dataclasses.replace(
            run.plan, dataset=dataclasses.replace(data.dataset("digits"), class_names=letters)
        ),
    )
    with pytest.raises(training.ConfigError, match=r"0, 1, 2, … \(10\) and a, b, c, … \(10\)"):
        Ensemble((run, lettered))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": [2], "last": 1}, "give one"),
        ({"steps": [2, 2]}, "stands there twice"),
        ({"last": 0}, "give 1 or more"),
    ],
)
def test_arguments_that_do_not_go_together_are_refused(finished, options, message):
    with pytest.raises(training.ConfigError, match=message):
        load_ensemble([finished[0]], **options)


def test_missing_runs_and_checkpoints_are_told(finished):
    with pytest.raises(training.ConfigError, match="none was given"):
        load_ensemble([])
    with pytest.raises(training.ConfigError, match="stands there twice"):
        load_ensemble([finished[0], finished[0]])
    with pytest.raises(training.CheckpointError, match=r"has 3 checkpoints, 4 were asked for"):
        load_ensemble([finished[0]], last=4)
