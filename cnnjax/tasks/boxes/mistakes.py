"""Which detections of an image are right, and which objects were found."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from cnnjax.tasks.boxes.average_precision import overlap_matrix
from cnnjax.tasks.boxes.text import SHOWN_FROM
from cnnjax.tasks.sections import Evaluated


class Comparison(NamedTuple):
    """The detections of one image against its objects.

    Attributes:
        boxes: of the detections that count, top, left, bottom and right as shares.
        scores: of these.
        labels: of these.
        right: which of these find an object.
        true_boxes: of the objects, as shares.
        true_labels: of the objects.
        found: which objects are found.
    """

    boxes: Float[np.ndarray, "detections 4"]
    scores: Float[np.ndarray, " detections"]
    labels: Int[np.ndarray, " detections"]
    right: Bool[np.ndarray, " detections"]
    true_boxes: Float[np.ndarray, "objects 4"]
    true_labels: Int[np.ndarray, " objects"]
    found: Bool[np.ndarray, " objects"]

    @property
    def mistakes(self) -> int:
        """Number of objects that are missed, and of detections that find none."""
        return int((~self.found).sum() + (~self.right).sum())


def true_objects(
    evaluated: Evaluated,
) -> tuple[Float[np.ndarray, "examples objects 4"], Int[np.ndarray, "examples objects"]]:
    """Returns boxes as shares of the image's sides, and classes, -1 where there is no object.

    Args:
        evaluated: the examples, with the parts `boxes` in pixels and `boxes_label`.
    """
    boxes = np.asarray(evaluated.parts["boxes"], np.float64)
    height, width = evaluated.images.shape[1:3]
    real = (boxes[..., 2:] > boxes[..., :2]).all(axis=-1)
    count = evaluated.parts.get("boxes_count")
    if count is not None:
        real &= np.arange(boxes.shape[1])[None] < np.asarray(count)[:, None]
    labels = np.where(real, np.asarray(evaluated.parts["boxes_label"]), -1)
    return boxes / np.array([height, width, height, width]), labels


def compare_image(
    detections: tuple[np.ndarray, np.ndarray, np.ndarray],
    true_boxes: Float[np.ndarray, "objects 4"],
    true_labels: Int[np.ndarray, " objects"],
    overlap: float = 0.5,
) -> Comparison:
    """Returns which detections find an object of their class, the highest scores first.

    Args:
        detections: scores, labels and boxes of one image; those of low scores do not count.
        true_boxes: of its objects.
        true_labels: of its objects; below 0 for a slot without one.
        overlap: the least intersection over union.
    """
    scores, labels, boxes = detections
    kept = (labels >= 0) & (scores >= SHOWN_FROM)
    scores, labels, boxes = scores[kept], labels[kept], boxes[kept].astype(np.float64)
    real = true_labels >= 0
    true_boxes, true_labels = true_boxes[real], true_labels[real]
    right, found = np.zeros(len(scores), bool), np.zeros(len(true_boxes), bool)
    overlaps = overlap_matrix(boxes, true_boxes)
    for place in range(len(scores)):
        able = (true_labels == labels[place]) & ~found & (overlaps[place] >= overlap)
        if able.any():
            best = int(np.where(able, overlaps[place], -1).argmax())
            found[best] = right[place] = True
    return Comparison(boxes, scores, labels, right, true_boxes, true_labels, found)


def compare_all(evaluated: Evaluated) -> list[Comparison]:
    """Returns the comparison of each image.

    Args:
        evaluated: predictions and examples of the evaluated split.
    """
    peaks = [np.asarray(part) for part in evaluated.predictions]
    boxes, labels = true_objects(evaluated)
    return [
        compare_image((peaks[0][i], peaks[1][i], peaks[2][i]), boxes[i], labels[i])
        for i in range(len(boxes))
    ]
