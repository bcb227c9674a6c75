"""Which parts the analysis of a network has, with its parts replaced by their names."""

import numpy as np
import pytest

from cnnjax.reports import analysis_section
from tests.reports.fakes import fake_network, fake_regression


@pytest.fixture
def parts(monkeypatch):
    """The calls of the sections, by name; each is replaced by its name."""
    calls = {}

    def replace(name):
        def section(*arguments):
            calls[name] = arguments
            return name

        monkeypatch.setattr(analysis_section, f"{name}_section", section)

    for name in ("looking", "health", "embedding", "invariance", "cost"):
        replace(name)
    return calls


def test_a_task_with_classes_has_every_part(parts):
    network = fake_network(count=20, wrong=5, classes=12)
    made = analysis_section.analyze(network, network.evaluated())
    assert {name: made[name] for name in parts} == {name: name for name in parts}
    assert (made["images"], made["classes"], made["more_classes"]) == (20, True, True)
    # The first five are mistakes.
    assert parts["embedding"][-1].tolist() == [False] * 5 + [True] * 15
    np.testing.assert_array_equal(parts["health"][4]["label"], np.arange(20) % 12)
    summary = parts["cost"][0]
    assert parts["invariance"][-1] == summary.multiply_adds > 0


def test_a_task_without_classes_has_no_invariance(parts):
    network = fake_regression(count=10)
    made = analysis_section.analyze(network, network.evaluated())
    assert made["invariance"] is None and "invariance" not in parts
    assert (made["classes"], made["more_classes"]) == (False, False)
    assert parts["health"][3] is network.task and list(parts["health"][4]) == ["point"]
    assert parts["embedding"][-1] is None


def test_images_are_spread_evenly_over_a_large_set(parts):
    network = fake_network(count=1000, size=4, classes=3)
    made = analysis_section.analyze(network, network.evaluated())
    assert made["images"] == 360 and not made["more_classes"]
    images = parts["embedding"][3]
    assert len(images) == 360
    # The first and the last image are among them, and no gap is longer than 3.
    np.testing.assert_array_equal(images[0], network.images[0])
    np.testing.assert_array_equal(images[-1], network.images[-1])
    places = [
        int(np.flatnonzero((network.images == image).all(axis=(1, 2, 3)))[0]) for image in images
    ]
    assert max(np.diff(places)) <= 3
