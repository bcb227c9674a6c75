import json
import shutil
from typing import Any

import jax
import numpy as np
import pytest

from cnnjax import data, inference, recipes, training
from cnnjax.training.folder.checkpoints import Checkpoints
from tests.helpers.photographs import write_photographs
from tests.helpers.records import change_identity


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """24 photographs to train on, one of which is no image, and 7 to test."""
    folder = tmp_path_factory.mktemp("photographs")
    write_photographs(folder)
    (folder / "train" / "bees" / "003.jpg").write_text("a hive")
    return folder


@pytest.fixture(scope="module")
def config(folder):
    """Three steps an epoch, two epochs."""
    return recipes.parse_config(
        {
            "data": {
                "name": f"folder:{folder}",
                "resize": 20,
                "crop": 16,
                "crop_areas": (0.3, 1.0),
                "batch_size": 8,
            },
            "model": {"name": "lenet5"},
            "optimizer": {"learning_rate": 0.01},
            "epochs": 2,
        }
    )


@pytest.fixture(scope="module")
def streamed(config, train_config, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("streamed") / "run"
    with jax.numpy_dtype_promotion("standard"):
        return workdir, train_config(config, workdir)


def parameters(workdir):
    leaves = jax.tree.leaves(inference.load(workdir).variables)
    return [np.asarray(leaf).tobytes() for leaf in leaves]


def test_a_folder_of_photographs_is_trained_on_and_evaluated(streamed):
    workdir, result = streamed
    assert result.step == 6
    # Of seven test images, each counts once.
    assert (result.metrics["accuracy"] * 7) == pytest.approx(round(result.metrics["accuracy"] * 7))
    assert inference.load(workdir).evaluate() == pytest.approx(result.metrics)
    steps = [line for line in training.read_metrics(workdir) if line["split"] == "train"]
    assert len(steps) == 6
    assert all(0 <= line.get("waiting_share", 0) <= 1 for line in steps)


def test_a_damaged_image_is_left_out_and_named(streamed, folder):
    workdir, _ = streamed
    events = [json.loads(line) for line in (workdir / "events.jsonl").read_text().splitlines()]
    (finished,) = [event for event in events if event["event"] == "finished"]
    assert list(finished["left_out"]) == [str(folder / "train" / "bees" / "003.jpg")]


def test_a_streamed_set_is_predicted_once_and_what_is_damaged_left_out(
    streamed, config, folder, tmp_path
):
    read = data.ReadOptions(workers=data.Workers(threads=1))
    network = inference.load(streamed[0], read=read)
    whole = network.evaluated()
    images = network.examples.column("image")
    np.testing.assert_allclose(whole.predictions, network.predict(images), atol=1e-6)
    files = sorted(map(str, (folder / "test").rglob("*.jpg")))
    assert whole.files is not None and sorted(whole.files) == files
    # The same run with one test image that is none.
    broken = tmp_path / "photographs"
    shutil.copytree(folder, broken)
    (sorted((broken / "test" / "ants").iterdir())[1]).write_text("x")
    workdir = tmp_path / "run"
    shutil.copytree(streamed[0], workdir)
    change_identity(workdir, lambda run: run["data"].update(name=f"folder:{broken}"))
    fewer = inference.load(workdir).evaluated()
    assert fewer.positions.tolist() == np.delete(whole.positions, 1).tolist()
    np.testing.assert_array_equal(fewer.parts["label"], np.delete(whole.parts["label"], 1))
    expected = np.delete(whole.predictions, 1, axis=0)
    np.testing.assert_allclose(fewer.predictions, expected, atol=1e-5)
    np.testing.assert_array_equal(fewer.images[1], whole.images[2])
    expected = [file.replace(str(folder), str(broken)) for file in np.delete(whole.files, 1)]
    assert fewer.files == expected
    with pytest.raises(data.DamagedImages, match="more than the 0 that"):
        inference.load(workdir, read=data.ReadOptions(max_damaged=0)).evaluated()


def test_a_resumed_stream_ends_where_an_undisturbed_one_does(
    streamed, config, train_config, tmp_path
):
    workdir = tmp_path / "run"
    shutil.copytree(streamed[0], workdir)
    shutil.rmtree(workdir / "checkpoints" / f"{6:08d}")
    # Other workers make no difference.
    read = data.ReadOptions(workers=data.Workers(threads=1))
    train_config(config, workdir, read=read)
    assert Checkpoints(workdir / "checkpoints").steps() == [3, 6]
    assert parameters(workdir) == parameters(streamed[0])


def test_more_damaged_images_than_allowed_stop_the_run(config, train_config, folder, tmp_path):
    with pytest.raises(
        data.DamagedImages, match=r"unreadable images: 1, more than the 0 .*\n.*003"
    ):
        train_config(config, tmp_path / "run", read=data.ReadOptions(max_damaged=0))


def test_a_set_that_is_not_prepared_is_reported_before_anything_is_written(tmp_path):
    config = recipes.parse_config({"data": {"name": "mnist"}})
    with pytest.raises(data.DataError, match=r"cnnjax prepare mnist"):
        run = recipes.make_run(config, data_dir=str(tmp_path))
        training.fit(run, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"crop": 16}, r"data.resize: the images of folder:.* have many sizes; give the length"),
        ({"resize": 16, "crop": 20}, r"data.crop: crop: 20 does not fit into a shorter side of 16"),
        ({"resize": 16, "crop_areas": (0.5,)}, r"crop_areas: \(0.5,\) was given; give two values"),
        ({"name": "digits", "crop": 8}, r"data.crop: only for photographs of many sizes"),
    ],
)
def test_keys_that_do_not_fit_the_images_are_refused(section, message, folder):
    values = {"data": {"name": f"folder:{folder}", **section}}
    with pytest.raises(training.ConfigError, match=message):
        recipes.make_blueprint(recipes.parse_config(values))


def test_a_set_without_test_images_needs_some_held_out(folder, tmp_path):
    shutil.copytree(folder / "train", tmp_path / "images" / "train")
    values = {"name": f"folder:{tmp_path}/images", "resize": 16, "batch_size": 4}
    with pytest.raises(training.ConfigError, match=r"has no test split; hold out some of its 24"):
        recipes.make_run({"data": values})
    run = recipes.make_run({"data": {**values, "validation_examples": 5}})
    splits: Any = (run.test, run.main.examples)
    held_out, trained = splits
    assert held_out.arrays is None and trained.arrays is None
    names = [split.name(i) for split in (held_out, trained) for i in range(len(split))]
    assert (len(held_out), len(set(names))) == (5, 24)


def test_a_resumed_run_reports_images_that_were_added(
    streamed, config, train_config, folder, tmp_path, caplog
):
    shutil.copytree(streamed[0], tmp_path / "run")
    added = folder / "test" / "ants" / "zzz.jpg"
    shutil.copy(folder / "test" / "ants" / "000.jpg", added)
    try:
        train_config(config, tmp_path / "run")
    finally:
        added.unlink()
    assert "the run may differ in the last bits: data.test.set: folder:" in caplog.text
    assert "data.train.set: folder:" in caplog.text
