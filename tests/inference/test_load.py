import shutil
from typing import Any

import numpy as np
import pytest

from cnnjax import inference, training


def test_metrics_are_recomputed_from_the_checkpoint_alone(finished, data_dir):
    workdir, result = finished
    network = inference.load(workdir, data_dir=data_dir)
    assert network.step == 6
    assert network.evaluate() == result.metrics


def test_probabilities_agree_with_the_accuracy(finished, data_dir):
    network = inference.load(finished[0], data_dir=data_dir)
    images = network.examples.column("image")
    probabilities = np.exp(network.predict(images))
    assert probabilities.shape == (1309, 10)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    accuracy = (probabilities.argmax(axis=1) == network.examples.column("label")).mean()
    assert accuracy == pytest.approx(finished[1].metrics["accuracy"])


def test_an_earlier_checkpoint_can_be_loaded(finished, data_dir):
    assert inference.load(finished[0], step=2, data_dir=data_dir).step == 2
    with pytest.raises(
        training.CheckpointError, match=r"no checkpoint of step 3; it has \[2, 4, 6\]"
    ):
        inference.load(finished[0], step=3)


def test_a_folder_without_a_run_or_a_checkpoint_is_refused(finished, tmp_path):
    with pytest.raises(training.RunFolderError, match=r"holds no run \(config.json is missing\)"):
        inference.load(tmp_path)
    shutil.copy(finished[0] / "config.json", tmp_path)
    with pytest.raises(training.RunFolderError, match="has no checkpoint yet"):
        inference.load(tmp_path)


def test_reading_a_damaged_run_changes_nothing_in_it(finished, data_dir, tmp_path, caplog):
    workdir = tmp_path / "run"
    shutil.copytree(finished[0], workdir)
    (workdir / "checkpoints" / "00000006" / "record.json").write_text("{}")
    assert inference.load(workdir, data_dir=data_dir).step == 4
    assert "checkpoint 6 is damaged" in caplog.text
    assert (workdir / "checkpoints" / "00000006").is_dir()
    with pytest.raises(training.CheckpointError, match=r"step 6 is damaged: record\.json"):
        inference.load(workdir, step=6)


def test_predictions_are_in_the_order_of_their_examples(finished, data_dir):
    network = inference.load(finished[0], data_dir=data_dir)
    evaluated = network.evaluated()
    np.testing.assert_array_equal(evaluated.parts["label"], network.examples.column("label"))
    np.testing.assert_array_equal(evaluated.predictions, network.predict(evaluated.images[:]))
    assert evaluated.split == network.split == "validation"
    # Prepared examples have no files of their own.
    assert evaluated.files is None


def test_inputs_and_outputs_are_those_of_the_run(finished, data_dir):
    network = inference.load(finished[0], data_dir=data_dir)
    assert network.image_shape == (16, 16, 1)
    assert network.title == ("lenet5", "digits")
    assert network.config["data"]["resize"] == 16
    images = network.examples.column("image")[:3]
    assert network.inputs(images).shape == (3, 16, 16, 1)
    logits = network.outputs(images)
    expected: Any = network.model.apply(network.variables, network.inputs(images), train=False)
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("run", "message"),
    [
        ("tests.recipes.own_parts:colors", "colors returned Splits, not a training.Run"),
        ("tests.recipes.own_parts:colrs", "run: .*did you mean colors"),
    ],
)
def test_a_function_that_makes_no_run_is_refused(finished, run, message):
    with pytest.raises(ValueError, match=message):
        inference.load(finished[0], run=run)
