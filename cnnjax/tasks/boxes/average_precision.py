"""Average precision of detections by the definition of COCO, as pycocotools computes it.

Everything is NumPy on the host, in float64. Detections and objects are rows: the same rows give the
same figures, whatever batches and devices they came from.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
"""Overlaps from which a detection finds an object: 0.50, 0.55, …, 0.95."""

RECALLS = np.linspace(0.0, 1.0, 101)
"""Recalls at which precision is read off: 0, 0.01, …, 1."""

MAX_DETECTIONS = 100
"""The most detections of a class in an image that count, those of the highest scores."""

AREAS: Mapping[str, tuple[float, float]] = {
    "all": (0.0, 1e10),
    "small": (0.0, 32.0**2),
    "medium": (32.0**2, 96.0**2),
    "large": (96.0**2, 1e10),
}
"""Bounds of an object's area in pixels, both included, by the range's name."""


@dataclass(frozen=True)
class Found:
    """The detections and the objects of several images.

    Attributes:
        boxes: top, left, bottom and right of each detection.
        scores: of each detection.
        labels: the class of each detection; below 0 for a slot without one.
        true_boxes: of each object, padded.
        true_labels: the class of each object; below 0 for a slot without one.
    """

    boxes: Float[np.ndarray, "images detections 4"]
    scores: Float[np.ndarray, "images detections"]
    labels: Int[np.ndarray, "images detections"]
    true_boxes: Float[np.ndarray, "images objects 4"]
    true_labels: Int[np.ndarray, "images objects"]


@dataclass(frozen=True)
class PrecisionRecall:
    """Precision by recall, for each overlap and class.

    Attributes:
        precision: at each of `RECALLS`, the highest precision at that recall or a higher one; NaN
            for a class without objects.
        recall: the share of a class's objects that is found; NaN without objects.
        objects: number of objects of each class.
    """

    precision: Float[np.ndarray, "thresholds recalls classes"]
    recall: Float[np.ndarray, "thresholds classes"]
    objects: Int[np.ndarray, " classes"]

    def average(self, threshold: float | None = None) -> float:
        """Returns average precision, the mean over recalls and classes; NaN without any object.

        Args:
            threshold: one of `IOU_THRESHOLDS`; None for the mean over all of them.
        """
        chosen = self.precision
        if threshold is not None:
            chosen = chosen[np.isclose(IOU_THRESHOLDS, threshold)]
        return float(_mean(chosen))

    def by_class(self, threshold: float | None = None) -> Float[np.ndarray, " classes"]:
        """Returns the average precision of each class; NaN for a class without objects.

        Args:
            threshold: one of `IOU_THRESHOLDS`; None for the mean over all of them.
        """
        chosen = self.precision
        if threshold is not None:
            chosen = chosen[np.isclose(IOU_THRESHOLDS, threshold)]
        return chosen.mean(axis=(0, 1))


def precision_recall(found: Found, classes: int, area: str = "all") -> PrecisionRecall:
    """Returns precision by recall of all classes.

    A detection, those of higher scores first, finds the object of its class and image with the
    largest overlap among those not yet found, if that overlap reaches the threshold. Objects whose
    area is out of range are ignored: neither they nor what finds them count, nor a detection out of
    range that finds nothing.

    Args:
        found: detections and objects, boxes in pixels.
        classes: number of classes.
        area: a name of `AREAS`.

    Raises:
        ValueError: there is no such range.

    Source: Lin et al. 2014, and `COCOeval` of pycocotools, whose figures these are.
    """
    if area not in AREAS:
        raise ValueError(f"area: {area!r} is unknown; give one of {', '.join(AREAS)}")
    shape = (len(IOU_THRESHOLDS), len(RECALLS), classes)
    precision = np.full(shape, np.nan)
    recall = np.full((shape[0], classes), np.nan)
    objects = np.zeros(classes, np.int64)
    for label in range(classes):
        scores, hits, ignored, objects[label] = _matches(found, label, AREAS[area])
        if not objects[label]:
            continue
        # Equal scores stay in the order of the images, as in pycocotools.
        order = np.argsort(-scores, kind="mergesort")
        hits, ignored = hits[:, order], ignored[:, order]
        right = np.cumsum(hits & ~ignored, axis=1, dtype=np.float64)
        wrong = np.cumsum(~hits & ~ignored, axis=1, dtype=np.float64)
        for place, (good, bad) in enumerate(zip(right, wrong, strict=True)):
            curve = _curve(good, bad, objects[label])
            precision[place, :, label], recall[place, label] = curve
    return PrecisionRecall(precision, recall, objects)


def _curve(
    right: Float[np.ndarray, " detections"], wrong: Float[np.ndarray, " detections"], objects: int
) -> tuple[Float[np.ndarray, " recalls"], float]:
    """Returns precision at each of `RECALLS`, and the recall of all detections."""
    read = np.zeros(len(RECALLS))
    if not len(right):
        return read, 0.0
    recalls = right / objects
    precisions = right / (right + wrong + np.spacing(1))
    # A higher recall at a higher precision makes the lower recall's precision as high.
    envelope = np.maximum.accumulate(precisions[::-1])[::-1]
    places = np.searchsorted(recalls, RECALLS, side="left")
    reached = places < len(envelope)
    read[reached] = envelope[places[reached]]
    return read, float(recalls[-1])


def _matches(
    found: Found, label: int, bounds: tuple[float, float]
) -> tuple[
    Float[np.ndarray, " detections"],
    Bool[np.ndarray, "thresholds detections"],
    Bool[np.ndarray, "thresholds detections"],
    int,
]:
    """Returns scores, hits and what is ignored of a class's detections, and its objects' number."""
    scores, hits, ignored, objects = [], [], [], 0
    for image in range(len(found.scores)):
        own = np.flatnonzero(found.labels[image] == label)
        order = np.argsort(-found.scores[image, own], kind="mergesort")
        own = own[order][:MAX_DETECTIONS]
        truth = np.asarray(found.true_boxes[image][found.true_labels[image] == label], np.float64)
        outside = _outside(truth, bounds)
        objects += int((~outside).sum())
        # Objects that count come first: a detection prefers them to ignored ones.
        places = np.argsort(outside, kind="mergesort")
        boxes = np.asarray(found.boxes[image, own], np.float64)
        hit, skip = _match_image(boxes, truth[places], outside[places])
        # What finds nothing, and is itself out of range, is neither right nor wrong.
        skip |= ~hit & _outside(boxes, bounds)[None]
        scores.append(found.scores[image, own])
        hits.append(hit)
        ignored.append(skip)
    empty = np.zeros((len(IOU_THRESHOLDS), 0), bool)
    return (
        np.concatenate([np.zeros(0), *scores]),
        np.concatenate([empty, *hits], axis=1),
        np.concatenate([empty, *ignored], axis=1),
        objects,
    )


def _match_image(
    boxes: Float[np.ndarray, "detections 4"],
    truth: Float[np.ndarray, "objects 4"],
    outside: Bool[np.ndarray, " objects"],
) -> tuple[Bool[np.ndarray, "thresholds detections"], Bool[np.ndarray, "thresholds detections"]]:
    """Returns which detections find an object, and which of them an ignored one."""
    shape = (len(IOU_THRESHOLDS), len(boxes))
    hit, skip = np.zeros(shape, bool), np.zeros(shape, bool)
    if not len(boxes) or not len(truth):
        return hit, skip
    overlaps = overlap_matrix(boxes, truth)
    thresholds = np.minimum(IOU_THRESHOLDS, 1 - 1e-10)
    free = np.ones((shape[0], len(truth)), bool)
    rows = np.arange(shape[0])
    for place in np.flatnonzero(overlaps.max(axis=1) >= thresholds[0]):
        able = free & (overlaps[place][None] >= thresholds[:, None])
        # Those that count are preferred, and of equal overlaps the last one, as in pycocotools.
        preferred = able & ~outside if not outside.all() else able
        choice = np.where(preferred.any(axis=1)[:, None], preferred, able)
        values = np.where(choice, overlaps[place], -1.0)[:, ::-1]
        best = len(truth) - 1 - values.argmax(axis=1)
        finds = choice.any(axis=1)
        hit[:, place] = finds
        skip[:, place] = finds & outside[best]
        free[rows[finds], best[finds]] = False
    return hit, skip


def overlap_matrix(
    boxes: Float[np.ndarray, "boxes 4"], others: Float[np.ndarray, "others 4"]
) -> Float[np.ndarray, "boxes others"]:
    """Returns the intersection over union of each box with each of the others, in float64.

    Args:
        boxes: top, left, bottom and right.
        others: in the same unit.
    """
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    shared = _areas(np.concatenate([low, high], axis=-1))
    union = _areas(boxes)[:, None] + _areas(others)[None] - shared
    return shared / np.where(union > 0, union, 1)


def _areas(boxes: Float[np.ndarray, "*boxes 4"]) -> Float[np.ndarray, "*boxes"]:
    sides = np.maximum(boxes[..., 2:] - boxes[..., :2], 0)
    return sides[..., 0] * sides[..., 1]


def _outside(
    boxes: Float[np.ndarray, "boxes 4"], bounds: tuple[float, float]
) -> Bool[np.ndarray, " boxes"]:
    areas = _areas(boxes)
    return (areas < bounds[0]) | (areas > bounds[1])


def _mean(values: Shaped[np.ndarray, "..."]) -> float:
    """Returns the mean of the numbers among values; NaN where there are none."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")
