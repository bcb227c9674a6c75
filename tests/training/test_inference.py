import shutil

import numpy as np
import pytest
from PIL import Image

from cnnjax import training


def test_metrics_are_recomputed_from_the_checkpoint_alone(finished, data_dir):
    workdir, result = finished
    run = training.load_run(workdir, data_dir=data_dir)
    assert run.step == 6
    assert run.evaluate() == result.metrics


def test_probabilities_agree_with_the_accuracy(finished, data_dir):
    run = training.load_run(finished[0], data_dir=data_dir)
    probabilities = run.predict(run.images)
    assert probabilities.shape == (1309, 10)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    accuracy = (probabilities.argmax(axis=1) == run.labels).mean()
    assert accuracy == pytest.approx(finished[1].metrics["accuracy"])


def test_an_earlier_checkpoint_can_be_asked_for(finished, data_dir):
    assert training.load_run(finished[0], step=2, data_dir=data_dir).step == 2
    with pytest.raises(
        training.CheckpointError, match=r"no checkpoint of step 3; it has \[2, 4, 6\]"
    ):
        training.load_run(finished[0], step=3)


def test_a_folder_without_a_run_or_a_checkpoint_is_told(finished, tmp_path):
    with pytest.raises(training.RunFolderError, match=r"holds no run \(config.json is missing\)"):
        training.load_run(tmp_path)
    shutil.copy(finished[0] / "config.json", tmp_path)
    with pytest.raises(training.RunFolderError, match="has no checkpoint yet"):
        training.load_run(tmp_path)


def test_reading_a_damaged_run_changes_nothing_in_it(finished, data_dir, tmp_path, caplog):
    workdir = tmp_path / "run"
    shutil.copytree(finished[0], workdir)
    (workdir / "checkpoints" / "00000006" / "record.json").write_text("{}")
    assert training.load_run(workdir, data_dir=data_dir).step == 4
    assert "checkpoint 6 is damaged" in caplog.text
    assert (workdir / "checkpoints" / "00000006").is_dir()
    with pytest.raises(training.CheckpointError, match=r"step 6 is damaged: record\.json"):
        training.load_run(workdir, step=6)


def test_image_files_are_cropped_shrunk_and_inverted(tmp_path):
    wide = np.zeros((40, 80), np.uint8)
    wide[:, 20:60] = 200  # the centre square is what stays
    Image.fromarray(wide).save(tmp_path / "wide.png")
    # The outermost pixels average over a little of what lies beside the square.
    assert (training.read_images([tmp_path / "wide.png"], (8, 8, 1))[:, :, 1:-1] == 200).all()
    inverted = training.read_images([tmp_path / "wide.png"], (8, 8, 1), invert=True)
    assert (inverted[:, :, 1:-1] == 55).all()
    assert training.read_images([tmp_path / "wide.png"], (4, 6, 3)).shape == (1, 4, 6, 3)


def test_files_that_are_no_images_are_all_named(tmp_path):
    (tmp_path / "text.png").write_text("x")
    with pytest.raises(training.ConfigError) as raised:
        training.read_images([tmp_path / "text.png", tmp_path / "none.png"], (8, 8, 1))
    assert "text.png" in str(raised.value)
    assert "none.png" in str(raised.value)
