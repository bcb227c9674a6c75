"""Average precision equals pycocotools' on random boxes."""

import contextlib
import io
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from cnnjax.tasks.boxes.average_precision import (
    AREAS,
    Found,
    overlap_matrix,
    precision_recall,
)

CLASSES = 3


def random_found(seed, images=8, objects=9, detections=40, side=150.0):
    """Returns objects of all sizes and detections near them, with equal scores among them."""
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, side, (images, objects, 2))
    sides = rng.uniform(4, side, (images, objects, 2)) * rng.choice(
        [0.15, 0.5, 1.0], (images, objects, 1)
    )
    truth = np.concatenate([corners, corners + sides], axis=-1)
    labels = rng.integers(-1, CLASSES, (images, objects))
    source = rng.integers(0, objects, (images, detections))
    near = np.take_along_axis(truth, source[..., None], axis=1)
    size = np.take_along_axis(sides, source[..., None], axis=1)
    noise = (
        rng.normal(size=near.shape)
        * np.tile(size, 2)
        * rng.choice([0.0, 0.04, 0.2], (images, detections, 1))
    )
    boxes = near + noise
    boxes[..., 2:] = np.maximum(boxes[..., 2:], boxes[..., :2] + 1)
    found_labels = np.take_along_axis(labels, source, axis=1)
    wrong = rng.uniform(size=found_labels.shape) < 0.15
    found_labels = np.where(wrong, rng.integers(-1, CLASSES, found_labels.shape), found_labels)
    scores = np.round(rng.uniform(size=found_labels.shape), 1 if seed % 2 else 6)
    return Found(boxes, scores, found_labels, truth, labels)


def by_pycocotools(found):
    """Returns `COCOeval` after its figures are computed."""

    def rows(boxes, labels, scores=None):
        listed = []
        for image, (image_boxes, image_labels) in enumerate(zip(boxes, labels, strict=True)):
            for slot in np.flatnonzero(image_labels >= 0):
                top, left, bottom, right = map(float, image_boxes[slot])
                box = [left, top, right - left, bottom - top]
                row = {"image_id": image + 1, "category_id": int(image_labels[slot]) + 1}
                row |= {"bbox": box, "area": box[2] * box[3], "iscrowd": 0, "id": len(listed) + 1}
                if scores is not None:
                    row["score"] = float(scores[image, slot])
                listed.append(row)
        return listed

    with contextlib.redirect_stdout(io.StringIO()):
        truth: Any = COCO()
        truth.dataset = {
            "info": {},
            "images": [{"id": image + 1} for image in range(len(found.scores))],
            "categories": [{"id": label + 1} for label in range(CLASSES)],
            "annotations": rows(found.true_boxes, found.true_labels),
        }
        truth.createIndex()
        found_rows: Any = rows(found.boxes, found.labels, found.scores)
        result = COCOeval(truth, truth.loadRes(found_rows), "bbox")
        result.evaluate()
        result.accumulate()
        result.summarize()
    return result


@pytest.mark.parametrize("seed", range(4))
def test_figures_equal_those_of_pycocotools_on_random_boxes(seed):
    found = random_found(seed)
    expected = by_pycocotools(found)
    for place, area in enumerate(AREAS):
        curves = precision_recall(found, CLASSES, area)
        theirs = expected.eval["precision"][:, :, :, place, 2]
        ours = np.where(np.isnan(curves.precision), -1, curves.precision)
        np.testing.assert_allclose(ours, theirs, atol=1e-12)
        recall = np.where(np.isnan(curves.recall), -1, curves.recall)
        np.testing.assert_allclose(recall, expected.eval["recall"][:, :, place, 2], atol=1e-12)
        if area != "all":
            summary = curves.average()
            np.testing.assert_allclose(summary, expected.stats[2 + place], atol=1e-12)
    curves = precision_recall(found, CLASSES)
    figures = [curves.average(), curves.average(0.5), curves.average(0.75)]
    np.testing.assert_allclose(figures, expected.stats[:3], atol=1e-12)


def test_more_detections_than_count_are_cut_by_their_scores():
    found = random_found(1, images=2, objects=3, detections=400)
    theirs = by_pycocotools(found).eval["precision"][:, :, :, 0, 2]
    ours = precision_recall(found, CLASSES).precision
    np.testing.assert_allclose(np.where(np.isnan(ours), -1, ours), theirs, atol=1e-12)


def one_image(boxes, scores, truth):
    count, objects = len(boxes), len(truth)
    return Found(
        np.reshape(np.array(boxes, float), (1, count, 4)),
        np.array([scores], float).reshape(1, count),
        np.zeros((1, count), int),
        np.array([truth], float),
        np.zeros((1, objects), int),
    )


def test_a_wrong_detection_before_a_right_one_halves_precision():
    truth = [[0, 0, 10, 10], [50, 50, 60, 60]]
    found = one_image([[20, 20, 30, 30], truth[0]], [0.9, 0.8], truth)
    curves = precision_recall(found, 2)
    # One of two objects is found at a precision of 1/2: 51 of the 101 recalls are reached.
    assert curves.average() == pytest.approx(0.5 * 51 / 101)
    assert curves.recall[:, 0].tolist() == [0.5] * 10
    assert np.isnan(curves.by_class()[1])
    assert curves.objects.tolist() == [2, 0]


def test_an_object_is_found_once():
    truth = [[0, 0, 10, 10]]
    both = one_image([truth[0], truth[0]], [0.9, 0.8], truth)
    np.testing.assert_allclose(precision_recall(both, 1).average(), 1)
    late = one_image([[0, 0, 10, 7], truth[0]], [0.9, 0.8], truth)
    # An overlap of 0.7 is enough up to a threshold of 0.70; above it, the second one comes late.
    np.testing.assert_allclose(precision_recall(late, 1).by_class()[0], (5 * 1 + 5 * 0.5) / 10)


def test_nothing_found_and_nothing_to_find():
    truth = [[0, 0, 10, 10]]
    assert precision_recall(one_image([], [], truth), 1).average() == 0
    empty = one_image([[0, 0, 5, 5]], [0.5], truth)
    empty.true_labels[:] = -1
    assert np.isnan(precision_recall(empty, 1).average())
    with pytest.raises(ValueError, match="'tiny' is unknown; give one of all, small"):
        precision_recall(empty, 1, "tiny")


def test_overlaps_are_intersections_over_unions():
    rng = np.random.default_rng(0)
    corners = rng.integers(0, 8, (6, 2))
    boxes = np.concatenate([corners, corners + rng.integers(0, 8, (6, 2))], axis=1)
    masks = np.zeros((6, 16, 16), bool)
    for mask, (top, left, bottom, right) in zip(masks, boxes, strict=True):
        mask[top:bottom, left:right] = True
    shared = (masks[:, None] & masks).sum(axis=(2, 3))
    union = (masks[:, None] | masks).sum(axis=(2, 3))
    expected = shared / np.maximum(union, 1)
    np.testing.assert_allclose(overlap_matrix(boxes.astype(float), boxes.astype(float)), expected)
