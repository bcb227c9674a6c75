import shutil

import numpy as np
import pytest

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
