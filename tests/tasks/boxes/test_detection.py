"""Detection: its losses by loops, its metrics from rows, its report and its text."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import data, tasks
from cnnjax.tasks.boxes.heat_maps import gaussian_radius
from cnnjax.tasks.sections import Evaluated
from cnnjax.training.loop import evaluation
from tests.tasks.boxes.examples import NAMES, Fixed, numbered, rectangles

EXAMPLES = numbered(rectangles(12))
TASK = tasks.Detection(NAMES, max_detections=20)


def perfect(examples, noise=0.0):
    """Returns maps [examples, 8, 8, 7] whose peaks are the objects; noise moves the sizes."""
    rng = np.random.default_rng(1)
    maps = np.full((len(examples), 8, 8, 7), -8.0, np.float32)
    maps[..., 3:] = 0
    for example in range(len(examples)):
        for slot in range(examples.arrays["boxes_count"][example]):
            top, left, bottom, right = examples.arrays["boxes"][example, slot] / 4
            middle = (top + bottom) / 2, (left + right) / 2
            row, column = int(middle[0]), int(middle[1])
            maps[example, row, column, examples.arrays["boxes_label"][example, slot]] = 4 + slot
            size = np.array([bottom - top, right - left]) * np.exp(noise * rng.normal(size=2))
            maps[example, row, column, 3:] = *size, middle[0] - row, middle[1] - column
    return maps


def evaluated_metrics(maps, batch_size=12, placement=None):
    evaluate: Any = evaluation.make_evaluator(
        Fixed(maps.shape), TASK, data.Preprocess(), EXAMPLES, batch_size, placement=placement
    )
    return evaluate({"params": {"table": jnp.asarray(maps)}})


def test_metrics_are_the_same_on_any_batch_size_and_number_of_devices():
    maps = perfect(EXAMPLES, noise=0.3)
    expected = evaluated_metrics(maps)
    assert 0.2 < expected["ap"] < 0.9
    assert expected["ap75"] < expected["ap50"]
    # No object has 96^2 pixels.
    assert expected["ap_large"] == 0
    for batch_size, placement in [(5, None), (7, evaluation.all_devices())]:
        metrics = evaluated_metrics(maps, batch_size, placement)
        assert metrics.pop("loss") == pytest.approx(expected["loss"], rel=1e-5)
        assert metrics == {name: value for name, value in expected.items() if name != "loss"}


def test_perfect_maps_find_every_object_that_has_a_cell_of_its_own():
    examples = numbered(rectangles(12, most=1, seed=3))
    evaluate: Any = evaluation.make_evaluator(
        Fixed((12, 8, 8, 7)), TASK, data.Preprocess(), examples, 12
    )
    metrics = evaluate({"params": {"table": jnp.asarray(perfect(examples))}})
    assert metrics["ap"] == pytest.approx(1)
    assert metrics["ap_small"] == pytest.approx(1)


losses = jax.jit(lambda maps, batch: TASK.example_losses(maps, batch, _moment()))


def test_the_loss_is_its_definition():
    rng = np.random.default_rng(0)
    maps = rng.normal(size=(12, 8, 8, 7)).astype(np.float32)
    maps[..., 3:] = np.abs(maps[..., 3:])
    batch = jax.tree.map(jnp.asarray, {**EXAMPLES.arrays, "weight": np.ones(12, np.float32)})
    found = np.asarray(losses(jnp.asarray(maps), batch))
    sides = (EXAMPLES.arrays["boxes"][..., 2:] - EXAMPLES.arrays["boxes"][..., :2]) / 4
    reaches = np.asarray(jax.jit(gaussian_radius)(sides)).astype(int)
    for example in (0, 5, 11):
        count = EXAMPLES.arrays["boxes_count"][example]
        heat, rest = np.zeros((8, 8, 3)), 0.0
        for slot in range(count):
            top, left, bottom, right = EXAMPLES.arrays["boxes"][example, slot].astype(float) / 4
            middle = np.array([(top + bottom) / 2, (left + right) / 2])
            cell, size = middle.astype(int), np.array([bottom - top, right - left])
            own = maps[example, cell[0], cell[1]].astype(float)
            rest += 0.1 * np.abs(own[3:5] - size).sum() + np.abs(own[5:] - (middle - cell)).sum()
            reach = reaches[example, slot]
            for i, j in np.ndindex(8, 8):
                away = np.abs([i - cell[0], j - cell[1]])
                if away.max() <= reach:
                    value = np.exp(-(away**2).sum() / (2 * ((2 * reach + 1) / 6) ** 2))
                    label = EXAMPLES.arrays["boxes_label"][example, slot]
                    heat[i, j, label] = max(heat[i, j, label], value)
        p = 1 / (1 + np.exp(-maps[example, ..., :3].astype(float)))
        focal = np.where(
            heat == 1, (1 - p) ** 2 * np.log(p), (1 - heat) ** 4 * p**2 * np.log(1 - p)
        )
        assert found[example] == pytest.approx((-focal.sum() + rest) / count, rel=1e-4)
    batch["image"] = batch["image"] / 255
    of_network = jax.jit(lambda v: TASK.loss_terms(Fixed(maps.shape), v, batch, _moment()))
    terms = of_network({"params": {"table": jnp.asarray(maps)}})
    assert sum(map(float, terms.values())) == pytest.approx(found.mean(), rel=1e-5)


def _moment():
    return tasks.Moment(jax.random.key(0), train=False)


def test_an_image_without_objects_has_the_loss_of_its_heat_alone():
    batch = {**EXAMPLES.arrays, "boxes_count": np.zeros(12, np.int32)}
    batch = jax.tree.map(jnp.asarray, {**batch, "weight": np.ones(12, np.float32)})
    maps = np.full((12, 8, 8, 7), 3.0, np.float32)
    maps[..., :3] = 0
    found = losses(jnp.asarray(maps), batch)
    np.testing.assert_allclose(found, 8 * 8 * 3 * 0.25 * np.log(2), rtol=1e-5)


def evaluated(maps):
    peaks = jax.jit(TASK.predict)(jnp.asarray(maps))
    parts = {name: part for name, part in EXAMPLES.arrays.items() if name != "image"}
    return Evaluated(
        jax.tree.map(np.asarray, peaks), parts, EXAMPLES.arrays["image"], np.arange(12)
    )


def test_a_report_has_the_metrics_and_shows_the_worst_first():
    maps = perfect(EXAMPLES, noise=0.05)
    # Two images are spoiled: one finds nothing, the other has a false box.
    maps[7, ..., :3] = -8
    maps[2, 0, 7] = (6, -8, -8, 2, 2, 0.5, 0.5)
    whole = evaluated(maps)
    report = TASK.report_sections(whole)
    metrics = evaluated_metrics(maps)
    for name, value in report.metrics.items():
        assert value == pytest.approx(metrics[name], abs=1e-6)
    parts: Any = report.sections[0].parts
    curves, _, table = parts
    assert {series.name for series in curves.series} <= set(NAMES)
    assert len(table.rows) == len(curves.series)
    pictures: Any = report.sections[1].parts[0]
    worst = pictures.pictures
    assert worst[0].lines[0] == "image 7"
    tones = [box.tone for box in worst[0].boxes]
    assert tones == ["missed"] * EXAMPLES.arrays["boxes_count"][7]
    np.testing.assert_array_equal(TASK.pictures(whole, 1)[0], EXAMPLES.arrays["image"][7])
    false = [card for card in worst if card.lines[0] == "image 2"]
    assert "wrong" in [box.tone for box in false[0].boxes]


def test_answers_name_the_boxes_of_the_highest_scores():
    peaks = jax.tree.map(lambda leaf: np.asarray(leaf)[4], evaluated(perfect(EXAMPLES)).predictions)
    answer = TASK.answer(peaks, top=1)
    count = EXAMPLES.arrays["boxes_count"][4]
    assert answer.columns["boxes"] == len(answer.boxes) == len(answer.values["objects"]) <= count
    assert answer.line.endswith("more") == (len(answer.boxes) > 1)
    nothing = jax.tree.map(lambda leaf: leaf * 0 - 1, peaks)
    assert TASK.answer(nothing).line == "nothing found"


def test_what_cannot_work_is_refused():
    with pytest.raises(ValueError, match=r"task\.size_weight: -1 was given; give 0 or more"):
        tasks.Detection(NAMES, size_weight=-1)
    with pytest.raises(ValueError, match=r"least_overlap: 1\.5 was given; give a number between 0"):
        tasks.Detection(NAMES, least_overlap=1.5)
    shape = jax.ShapeDtypeStruct((2, 8, 8, 3), jnp.float32)
    with pytest.raises(ValueError, match=r"gives \[2, 8, 8, 3\]; use 'center_net'"):
        TASK.check(EXAMPLES.spec, shape)
    spec = {name: part for name, part in EXAMPLES.spec.items() if name != "boxes_label"}
    with pytest.raises(ValueError, match="as the part boxes_label"):
        TASK.check(spec, shape)
