"""The sections on cost and behavior, for given numbers and for networks of every kind."""

from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax.analysis.cost.layer_rows import Row
from cnnjax.analysis.cost.summarize import summarize
from cnnjax.analysis.cost.summary import Summary
from cnnjax.reports.behavior_section import (
    cost_section,
    embedding_section,
    invariance_section,
)
from cnnjax.reports.looking_section import looking_section, map_layers
from cnnjax.reports.network_section import activation_section, kernel_section
from cnnjax.tasks.class_predictions import ClassPredictions
from cnnjax.tasks.sections import Bar, Example
from tests.reports.fakes import NoConvolution
from tests.reports.images import decoded


class Tiny(linen.Module):
    """A convolution, ReLU, the mean over the places and a dense layer."""

    classes: int = 3

    @linen.compact
    def __call__(self, x, train=False):
        x = linen.relu(linen.Conv(4, (3, 3), name="maps")(x))
        return linen.Dense(self.classes, name="head")(x.mean(axis=(1, 2)))


def _network(model, count=12, channels=1):
    images = np.random.default_rng(0).integers(0, 256, (count, 6, 6, channels), dtype=np.uint8)
    inputs = images.astype(np.float32) / 255
    return model, model.init(jax.random.key(0), inputs[:1]), inputs, images


@pytest.fixture(scope="module")
def network():
    return _network(Tiny())


@pytest.fixture(scope="module")
def dense():
    return _network(NoConvolution(3))


def test_costs_are_shares_of_the_largest_layer():
    rows = (
        Row("input", "input", (8, 8, 1), values=64),
        Row("a", "Conv", (8, 8, 2), 20, 2000, 128, 512, 256, (3, 3), (1, 1), (1, 1)),
        Row("b", "Conv", (4, 4, 2), 38, 500, 32, 128, 512, (5, 7), (2, 2), (1, 1)),
    )
    section = cost_section(Summary("net", (8, 8, 1), rows))
    assert [row["share"] for row in section["rows"]] == [0, 100, 25]
    assert section["rows"][2] == {
        "name": "b",
        "kind": "Conv",
        "shape": "4x4x2",
        "parameters": "38",
        "multiply_adds": "500",
        "share": 25,
        "numbers": "32",
        "kept": "512",
        "field": "5x7",
        "stride": "2",
    }
    assert section["totals"][0] == "58 parameters"


def test_a_network_without_products_has_no_shares():
    rows = (Row("input", "input", (4,), values=4), Row("pool", "MaxPool", (2,), values=2))
    assert [row["share"] for row in cost_section(Summary("n", (4,), rows))["rows"]] == [0, 0]


@pytest.mark.parametrize(("multiply_adds", "images"), [(1000, 90), (10**9, 60), (10**15, 60)])
def test_costly_networks_are_measured_on_fewer_images(monkeypatch, multiply_adds, images):
    from cnnjax.reports import behavior_section

    seen = []

    def curves(model, variables, inputs, labels, changes, *, fill):
        seen.append((len(inputs), len(labels), fill))
        return []

    monkeypatch.setattr(behavior_section, "invariance_curves", curves)
    inputs = np.full((90, 4, 4, 1), 0.25, np.float32)
    inputs[:, 1:3] = 1.0
    section = invariance_section(None, None, inputs, np.zeros(90, int), multiply_adds)
    assert section == {"curves": [], "images": images}
    # What comes in has the value of the first and the last row.
    assert seen == [(images, images, 0.25)]


def test_invariance_is_drawn_for_each_change(network):
    model, variables, inputs, _ = network
    logits = np.asarray(model.apply(variables, inputs))
    section = invariance_section(model, variables, inputs, logits.argmax(axis=1), 1000)
    assert [curve["name"] for curve in section["curves"]] == ["shift", "rotation", "scale"]
    assert section["images"] == 12
    assert all(curve["chart"].count("<svg") == 1 for curve in section["curves"])
    assert section["curves"][0]["ends"].endswith("at 1")


def test_features_are_placed_with_their_images(network):
    model, variables, inputs, images = network
    right = np.arange(12) % 2 == 0
    sections = embedding_section(model, variables, inputs, images, right)
    assert [section["method"] for section in sections] == ["t-SNE", "PCA"]
    # The logits are the only features that are vectors.
    assert {section["layer"] for section in sections} == {"head"}
    for section in sections:
        pixels = decoded(section["picture"])
        assert pixels.shape == (900, 900, 3)
        shown = pixels[pixels.min(axis=-1) < 200].astype(int)
        # Blue where right and orange where wrong.
        assert (shown[:, 2] > shown[:, 0]).any() and (shown[:, 0] > shown[:, 2]).any()


def test_few_images_and_features_that_are_nan_have_no_places(network):
    model, variables, inputs, images = network
    assert embedding_section(model, variables, inputs[:9], images[:9], None) == []
    broken = jax.tree.map(lambda leaf: jnp.full_like(leaf, jnp.nan), variables)
    assert embedding_section(model, broken, inputs, images, np.ones(12, bool)) == []


def _classes(count, names, wrong=0):
    labels = np.arange(count) % len(names)
    scores = np.full((count, len(names)), -5.0, np.float32)
    scores[np.arange(count), (labels + (np.arange(count) < wrong)) % len(names)] = -0.1
    return ClassPredictions(scores, labels, names)


def test_pictures_of_looks_are_of_as_many_classes_as_are_predicted(network):
    model, variables, inputs, images = network
    summary = summarize(model, (6, 6, 1), variables=variables)
    section: Any = looking_section(
        model, variables, inputs, images, _classes(12, ("a", "b", "c"), wrong=1), summary
    )
    assert section["layer"] == "maps"
    # Image 0 is of class a and taken for b; a, c are first predicted for images 3 and 2.
    examples = [(e["predicted"], e["truth"]) for e in section["examples"]]
    assert examples == [("b", "a"), ("c", "c"), ("a", "a")]
    assert all(0 <= e["lowest"] <= 1 for e in section["examples"])
    assert [c["name"] for c in section["classes"]] == ["a", "b", "c"]
    assert [f["field"] for f in section["fields"]] == ["3 × 3"]
    assert 1 <= section["fields"][0]["effective"] <= 3
    assert [p["channel"] for p in section["projections"]] == [0, 1, 2, 3]


def test_one_class_and_no_finite_prediction_are_shown(monkeypatch):
    from cnnjax.reports import looking_section as section

    for name in ("_fields", "_projections"):
        monkeypatch.setattr(section, name, lambda *_: [])
    monkeypatch.setattr(
        section,
        "class_images",
        lambda model, variables, start, classes, **_: (start, np.full((1, len(classes)), 7.0)),
    )
    model, variables, inputs, images = _network(Tiny(1), count=2)
    summary = summarize(model, (6, 6, 1), variables=variables)
    one: Any = looking_section(model, variables, inputs, images, _classes(2, ("only",)), summary)
    assert [e["predicted"] for e in one["examples"]] == ["only"]
    assert [e["lowest"] for e in one["examples"]] == [1.0]
    missing = ClassPredictions(np.full((2, 1), np.nan, np.float32), np.zeros(2, int), ("only",))
    none: Any = looking_section(model, variables, inputs, images, missing, summary)
    assert none["examples"] == []
    assert [(c["name"], c["score"]) for c in none["classes"]] == [("only", 7.0)]


def test_a_network_without_maps_is_not_looked_at(dense):
    model, variables, inputs, images = dense
    assert map_layers(model, variables, inputs) == []
    assert looking_section(model, variables, inputs, images, None, Summary("n", (1,), ())) is None


def test_pools_norms_and_single_places_are_no_layers_to_look_at():
    class Mixed(linen.Module):
        @linen.compact
        def __call__(self, x, train=False):
            x = linen.Conv(2, (3, 3), name="maps")(x)
            x = linen.BatchNorm(use_running_average=not train, name="norm")(x)
            x = linen.Conv(2, (6, 6), padding="VALID", name="point")(x)
            return linen.Dense(2, name="head")(x.reshape(x.shape[0], -1))

    model, variables, inputs, _ = _network(Mixed())
    assert map_layers(model, variables, inputs) == ["maps"]


@pytest.mark.parametrize(("channels", "tiles", "color"), [(3, 4, True), (1, 4, False)])
def test_kernels_are_in_color_or_by_pair(channels, tiles, color):
    model, variables, inputs, _ = _network(Tiny(), channels=channels)
    section: Any = kernel_section(model, variables, inputs)
    kernel = np.asarray(variables["params"]["maps"]["kernel"])
    assert (section["layer"], section["color"], section["total"]) == ("maps", color, 4)
    assert section["shape"] == f"3 × 3 × {channels} × 4" and len(section["tiles"]) == tiles
    assert section["largest"] == np.abs(kernel).max()
    if color:
        first = kernel[..., 0] - kernel[..., 0].min()
        np.testing.assert_allclose(
            decoded(section["tiles"][0]), 255 * first / first.max(), atol=0.51
        )


def test_a_network_without_convolutions_has_no_kernels(dense):
    model, variables, inputs, _ = dense
    assert kernel_section(model, variables, inputs) is None


def test_activations_of_one_image_have_their_ranges(network):
    model, variables, inputs, images = network
    example = Example(0, "test image 5", (Bar("long name", 0.5),), "prediction", "probabilities")
    section = activation_section(model, variables, inputs[:1], images[0], example)
    assert section["name"] == "Test image 5" and section["input_shape"] == "6 × 6 × 1"
    maps, head = section["layers"]
    outputs: Any = linen.Conv(4, (3, 3)).apply({"params": variables["params"]["maps"]}, inputs[:1])
    assert (maps["name"], maps["shape"], maps["total"]) == ("maps", "6 × 6 × 4", 4)
    assert maps["low"] == pytest.approx(float(outputs.min()), rel=1e-5)
    assert maps["high"] == pytest.approx(float(outputs.max()), rel=1e-5)
    assert (head["shape"], head["shown"], head["total"]) == ("3", 3, 3)
    assert decoded(head["strip"]).shape == (1, 3, 3)
    assert section["long"] and section["bars"][0]["text"] == "50.00 %"
    np.testing.assert_array_equal(decoded(section["picture"], "L"), images[0, ..., 0])


def test_activations_that_are_nan_are_shown(network):
    model, variables, inputs, images = network
    broken = jax.tree.map(lambda leaf: jnp.full_like(leaf, jnp.nan), variables)
    section = activation_section(model, broken, inputs[:1], images[0], Example(0, "one"))
    assert [(layer["low"], layer["high"]) for layer in section["layers"]] == [(0, 1), (0, 1)]
    assert section["bars"] == []
