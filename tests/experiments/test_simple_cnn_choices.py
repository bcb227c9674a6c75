"""The table of SimpleCNN's choices: what it counts, and what it writes."""

import json

import pytest
from absl.testing import flagsaver

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
def test_the_page_is_written_with_its_numbers(tmp_path):
    page = tmp_path / "page.md"
    with flagsaver.flagsaver(epochs=1, seeds=["0"], only=["pooling=average"], output=str(page)):
        simple_cnn_choices.main([])
    numbers = json.loads(page.with_suffix(".json").read_text())
    network = numbers["networks"]["pooling=average"]
    assert f"{network['error'][0]:.2f}" in page.read_text()
    assert 0 < network["error"][0] < 90 and network["loss"][0] > 0
