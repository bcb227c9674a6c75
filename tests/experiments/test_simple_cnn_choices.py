"""The table of SimpleCNN's choices: what it counts, and what it writes."""

import json

import jax
import pytest

from experiments import simple_cnn_choices


def test_twelve_choices_each_differ_from_the_base():
    assert len(simple_cnn_choices.CHOICES) == 12
    base = simple_cnn_choices.costs(simple_cnn_choices.BASE)
    # Two stages of 3x3 kernels on 16x16; a dense layer on 4x4 maps of 32 channels.
    assert base["parameters"] == (9 * 16 + 32) + (9 * 16 * 32 + 64) + (4 * 4 * 32 * 10 + 10)
    assert base["multiply_adds"] == 256 * 9 * 16 + 64 * 9 * 16 * 32 + 4 * 4 * 32 * 10
    average = simple_cnn_choices.costs({**simple_cnn_choices.BASE, "head": "average"})
    assert base["parameters"] - average["parameters"] == (4 * 4 - 1) * 32 * 10


def test_a_row_has_mean_deviation_and_each_seed():
    record = {"error": [1.0, 3.0], "loss": [0.5, 0.25], "parameters": 1234, "multiply_adds": 5678}
    line = simple_cnn_choices.row("a", record)
    assert line == "| a | 2.00 ± 1.41 | 1.00, 3.00 | 0.3750 | 1,234 | 5,678 |"


@pytest.mark.slow
def test_a_network_is_trained_and_written(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    fields = {**simple_cnn_choices.BASE, "pooling": "average"}
    with jax.numpy_dtype_promotion("standard"):
        run = simple_cnn_choices.train_once(fields, epochs=1, seed=0)
    assert 0 < run["error"] < 90 and run["loss"] > 0
    record = simple_cnn_choices.costs(fields) | {key: [value] for key, value in run.items()}
    page = tmp_path / "page.md"
    simple_cnn_choices.write(page, {"pooling=average": record}, 1, [0])
    assert f"| pooling=average | {run['error']:.2f} |" in page.read_text()
    numbers = json.loads(page.with_suffix(".json").read_text())
    assert numbers["networks"]["pooling=average"] == record
