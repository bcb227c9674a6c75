"""Runs in which all images of a step, or of the evaluated split, cannot be read."""

import jax
import pytest

from cnnjax import data, inference, recipes, reports, training
from cnnjax.training.folder.checkpoints import Checkpoints
from tests.helpers.photographs import write_photographs

READ = data.ReadOptions(workers=data.Workers(threads=1))


def configure(folder, batch_size, model="lenet5"):
    return recipes.parse_config(
        {
            "data": {
                "name": f"folder:{folder}",
                "resize": 20,
                "crop": 16,
                "crop_areas": (0.3, 1.0),
                "batch_size": batch_size,
            },
            "model": {"name": model},
            "epochs": 1,
        }
    )


@pytest.fixture(scope="module")
def empty_test(tmp_path_factory, train_config):
    """A run whose test images are all empty files."""
    folder = tmp_path_factory.mktemp("photographs")
    write_photographs(folder)
    for path in (folder / "test").rglob("*.jpg"):
        path.write_bytes(b"")
    config = configure(folder, 8)
    with jax.numpy_dtype_promotion("standard"):
        return folder / "run", config, train_config(config, folder / "run", read=READ)


def test_an_unreadable_batch_of_one_image_has_no_metrics(tmp_path, train_config):
    write_photographs(tmp_path)
    for path in (tmp_path / "train").rglob("00[1-9].jpg"):
        path.unlink()
    (tmp_path / "train" / "bees" / "000.jpg").write_bytes(b"")
    result = train_config(configure(tmp_path, 1), tmp_path / "run", read=READ)
    lines = [line for line in training.read_metrics(tmp_path / "run") if line["split"] == "train"]
    assert len(lines) == 3
    (unread,) = [line for line in lines if "loss" not in line]
    assert "accuracy" not in unread and unread["images_per_second"] > 0
    assert [line for line in result.history if line["split"] == "train"] == lines
    assert reports.write_report(tmp_path / "run", read=READ).is_file()


def test_a_split_that_cannot_be_read_is_not_evaluated(empty_test, train_config):
    workdir, config, result = empty_test
    assert (result.step, result.metrics, result.lines) == (3, {}, [])
    assert result.summary().startswith("step")
    assert {line["split"] for line in training.read_metrics(workdir)} == {"train"}
    assert Checkpoints(workdir / "checkpoints").record(3)["metrics"] == {}
    again = train_config(config, workdir, read=READ)
    assert (again.step, again.metrics) == (3, {})


def test_a_network_is_not_evaluated_on_a_split_that_cannot_be_read(empty_test):
    network = inference.load(empty_test[0], read=READ)
    message = "none of the 7 examples can be read"
    for evaluate in (network.evaluate, network.evaluated, inference.Ensemble([network]).assess):
        with pytest.raises(data.DamagedImages, match=message):
            evaluate()
    with pytest.raises(data.DamagedImages, match=message):
        reports.write_report(empty_test[0], read=READ)
