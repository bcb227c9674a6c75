"""Scores without a share of each group's channels, against those of shrunk networks."""

import dataclasses

import jax
import numpy as np
import pytest

from cnnjax import compression, data, inference, tasks
from cnnjax.inference.images import ImageForm
from tests.compression.nets import SHAPE, Tied, drawn


@pytest.fixture(scope="module")
def network():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (24, *SHAPE)).astype(np.uint8)
    model, variables = Tied(), drawn(Tied())
    # Of both signs, so that the classes that it predicts differ.
    centered = {**variables, "params": jax.tree.map(lambda p: 3 * (p - 0.16), variables["params"])}
    unlabeled = inference.Network(
        model=model,
        task=tasks.Classification(tuple("abcdefg")),
        variables=centered,
        preprocess=data.Preprocess(None, 0, (0.5,) * 3, (0.25,) * 3),
        form=ImageForm(SHAPE),
        title=("tied", "noise"),
        origin="noise",
    )
    examples = data.from_arrays(image=images, label=unlabeled.predict(images).argmax(axis=-1))
    return dataclasses.replace(unlabeled, load_examples=lambda framing: examples)


def test_scores_are_those_of_the_shrunk_networks(network):
    found = compression.pruning_sensitivity(network, (0.0, 0.75))
    assert found.metric == "accuracy"
    assert found.whole == network.evaluate()["accuracy"] == 1
    assert set(found.scores) == {
        *("stem", "branch1", "left", "right", "before", "grouped", "hidden")
    }
    assert {whole for whole, _ in found.scores.values()} == {found.whole}
    assert len({score for _, score in found.scores.values()}) > 1
    for name in ("stem", "hidden"):
        small = compression.make_smaller(network, ratio=[(name, 0.75)]).network
        assert found.scores[name][1] == pytest.approx(small.evaluate()["accuracy"])
    assert "hidden" in str(found)


def test_a_wrong_share_is_named(network):
    with pytest.raises(ValueError, match="ratios: 1 was given; give a share of 0 or more"):
        compression.pruning_sensitivity(network, (0.5, 1))
