"""Localization: its losses by definition, and its metrics by counting."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import data, tasks
from cnnjax.tasks.sections import Evaluated
from cnnjax.training.loop import evaluation
from tests.tasks.boxes.examples import NAMES, Fixed, numbered, rectangles

MOMENT = tasks.Moment(jax.random.key(0), train=False)
EXAMPLES = numbered(rectangles(10, most=1))


def outputs_for(examples, boxes, labels):
    """Returns outputs of sure classes and of the given boxes in pixels."""
    top, left, bottom, right = (np.asarray(boxes) / 32.0).T
    numbers = np.stack([(left + right) / 2, (top + bottom) / 2, right - left, bottom - top], 1)
    return np.concatenate([5.0 * np.eye(3)[labels], numbers], axis=1).astype(np.float32)


def shifted():
    """Returns predictions of known overlaps: exact, half wrong, and of a wrong class."""
    boxes = EXAMPLES.arrays["boxes"][:, 0].copy()
    labels = EXAMPLES.arrays["boxes_label"][:, 0].copy()
    height = boxes[:, 2] - boxes[:, 0]
    # Moved by a third of their height: an overlap of (2/3) / (4/3). By two thirds: 1/5.
    boxes[2:5, [0, 2]] += height[2:5, None] / 3
    boxes[5:7, [0, 2]] += 2 * height[5:7, None] / 3
    labels[[1, 6]] = (labels[[1, 6]] + 1) % 3
    return boxes, labels


def test_metrics_are_counts_of_right_classes_and_boxes():
    boxes, labels = shifted()
    table = outputs_for(EXAMPLES, boxes, labels)
    task = tasks.Localization(NAMES)
    expected = {
        "accuracy": 8 / 10,
        "box_accuracy": 8 / 10,
        # The second has a wrong class, the sixth a wrong box, and the seventh both.
        "localization_accuracy": 7 / 10,
    }
    clipped = np.clip(boxes, 0, 32)
    truth = EXAMPLES.arrays["boxes"][:, 0]
    shared = np.clip(
        np.minimum(clipped[:, 2:], truth[:, 2:]) - np.maximum(clipped[:, :2], truth[:, :2]), 0, None
    ).prod(axis=1)
    areas = [(each[:, 2:] - each[:, :2]).prod(axis=1) for each in (clipped, truth)]
    overlaps = shared / (sum(areas) - shared)
    expected["mean_iou"] = overlaps.mean()
    # A third moved gives exactly 1/2, on either side of it by rounding.
    assert np.abs(overlaps[2:5] - 0.5).max() < 0.1
    expected["box_accuracy"] = (overlaps >= 0.5 - 1e-6).mean()
    for batch_size, placement in [(10, None), (3, None), (4, evaluation.all_devices())]:
        evaluate: Any = evaluation.make_evaluator(
            Fixed(table.shape), task, data.Preprocess(), EXAMPLES, batch_size, placement=placement
        )
        metrics = evaluate({"params": {"table": jnp.asarray(table * 1.0)}})
        for name in ("accuracy", "mean_iou"):
            assert metrics[name] == pytest.approx(expected[name], abs=1e-5), (name, batch_size)
        assert 0.5 <= metrics["box_accuracy"] <= expected["box_accuracy"]
        assert metrics["localization_accuracy"] <= metrics["box_accuracy"]


@pytest.mark.parametrize("kind", ["squared", "smooth_l1"])
def test_the_loss_is_cross_entropy_and_the_error_of_the_box(kind):
    task = tasks.Localization(NAMES, box_loss=kind, box_weight=3.0, class_weight=0.5, beta=0.1)
    rng = np.random.default_rng(0)
    outputs = rng.normal(size=(10, 7)).astype(np.float32) * 0.3
    parts = dict(EXAMPLES.arrays)
    boxes = parts["boxes"].copy()
    boxes[4] = 0
    batch = {**parts, "boxes": boxes, "weight": np.ones(10, np.float32)}
    losses = jax.jit(lambda outputs, batch: task.example_losses(outputs, batch, MOMENT))
    found = losses(jnp.asarray(outputs), jax.tree.map(jnp.asarray, batch))
    top, left, bottom, right = (boxes[:, 0] / 32.0).T
    truth = np.stack([(left + right) / 2, (top + bottom) / 2, right - left, bottom - top], 1)
    error = np.abs(outputs[:, 3:] - truth)
    terms = error**2
    if kind == "smooth_l1":
        terms = np.where(error < 0.1, error**2 / 0.2, error - 0.05)
    of_box = np.where(np.arange(10) == 4, 0, terms.sum(axis=1))
    logits = outputs[:, :3].astype(np.float64)
    labels = parts["boxes_label"][:, 0]
    of_class = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(10), labels]
    np.testing.assert_allclose(found, 0.5 * of_class + 3 * of_box, rtol=1e-5)


def test_an_image_label_is_preferred_to_that_of_the_box():
    task = tasks.Localization(NAMES)
    outputs = jnp.asarray(outputs_for(EXAMPLES, EXAMPLES.arrays["boxes"][:, 0], np.zeros(10, int)))
    batch = {**EXAMPLES.arrays, "weight": np.ones(10, np.float32), "label": np.zeros(10, np.int32)}
    metrics = jax.jit(task.example_metrics)(outputs, jax.tree.map(jnp.asarray, batch))
    assert np.asarray(metrics["accuracy"]).tolist() == [1] * 10
    np.testing.assert_allclose(metrics["iou"], 1, atol=1e-5)


def test_outputs_that_are_not_numbers_are_wrong():
    task = tasks.Localization(NAMES)
    outputs = outputs_for(
        EXAMPLES, EXAMPLES.arrays["boxes"][:, 0], EXAMPLES.arrays["boxes_label"][:, 0]
    )
    outputs[3] = np.nan
    batch = {**EXAMPLES.arrays, "weight": np.ones(10, np.float32)}
    metrics = jax.jit(task.example_metrics)(jnp.asarray(outputs), jax.tree.map(jnp.asarray, batch))
    for values in metrics.values():
        np.testing.assert_allclose(values, np.arange(10) != 3, atol=1e-5)


def test_a_report_counts_as_the_metrics_do_and_shows_the_worst_first():
    boxes, labels = shifted()
    task = tasks.Localization(NAMES)
    placed = task.predict(jnp.asarray(outputs_for(EXAMPLES, boxes, labels)))
    evaluated = Evaluated(
        jax.tree.map(np.asarray, placed),
        {name: part for name, part in EXAMPLES.arrays.items() if name != "image"},
        EXAMPLES.arrays["image"],
        np.arange(10),
    )
    report = task.report_sections(evaluated)
    assert report.metrics["accuracy"] == pytest.approx(0.8)
    pictures: Any = report.sections[1].parts[0]
    cards = pictures.pictures
    assert {cards[0].lines[1], cards[1].lines[1]} == {"image 5", "image 6"}
    assert [box.tone for box in cards[0].boxes] == ["truth", "wrong"]
    np.testing.assert_array_equal(task.pictures(evaluated, 1)[0], cards[0].pixels)
    answer = task.answer(jax.tree.map(lambda leaf: np.asarray(leaf)[0], placed))
    assert answer.line.startswith(NAMES[labels[0]])
    assert answer.boxes[0].top == pytest.approx(boxes[0, 0] / 32, abs=1e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"box_loss": "absolute"}, "box_loss: 'absolute' is unknown"),
        ({"box_weight": -1}, "task.box_weight: -1 was given; give 0 or more"),
        ({"beta": 0}, "task.beta: 0 was given"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        tasks.Localization(NAMES, **settings)


def test_examples_and_networks_that_do_not_fit_are_refused():
    task = tasks.Localization(NAMES)
    shape = jax.ShapeDtypeStruct((2, 3), jnp.float32)
    with pytest.raises(ValueError, match=r"but the network gives \[2, 3\]; use 'localizer'"):
        task.check(EXAMPLES.spec, shape)
    spec = {name: part for name, part in EXAMPLES.spec.items() if name != "boxes"}
    with pytest.raises(ValueError, match="localization needs the parts image and boxes"):
        task.check(spec, shape)
    spec = {name: part for name, part in EXAMPLES.spec.items() if name != "boxes_label"}
    with pytest.raises(ValueError, match="as the part label or boxes_label"):
        task.check(spec, shape)


@pytest.mark.parametrize(
    ("box", "label", "message"),
    [
        ((5, 5, 4, 9), 0, r"example 1, box 0: \(5, 5, 4, 9\) ends before it starts"),
        ((5, 5, 40, 9), 0, "is not within the image of 32x32; cut it to the image"),
        ((5, 5, 9, 9), 3, "example 1, box 0: the class 3 is unknown; the 3 classes are 0 to 2"),
    ],
)
def test_values_that_cannot_be_learned_are_refused(box, label, message):
    parts = {name: part.copy() for name, part in EXAMPLES.arrays.items()}
    parts["boxes"][1, 0], parts["boxes_label"][1, 0] = box, label
    with pytest.raises(ValueError, match=message):
        tasks.Localization(NAMES).check_values(parts)
    tasks.Localization(NAMES).check_values(EXAMPLES.arrays)
