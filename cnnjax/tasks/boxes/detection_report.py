"""A detection's part of a report: average precisions, curves, and pictures with boxes."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from cnnjax.tasks.boxes.average_precision import (
    IOU_THRESHOLDS,
    RECALLS,
    Found,
    PrecisionRecall,
    precision_recall,
)
from cnnjax.tasks.boxes.mistakes import Comparison, compare_all, true_objects
from cnnjax.tasks.boxes.text import SHOWN_FROM, marked_box
from cnnjax.tasks.marked_boxes import MarkedBox
from cnnjax.tasks.section_parts import MOST_SERIES
from cnnjax.tasks.sections import (
    Cell,
    Chart,
    Column,
    Evaluated,
    Figure,
    MetricChart,
    Picture,
    Pictures,
    Section,
    Series,
    Table,
    TaskReport,
    percent,
)

CURVES = (
    MetricChart("loss", "Loss", log=True),
    MetricChart("ap", "Average precision", percent=True, note="The mean over IoU 0.50 to 0.95."),
    MetricChart("ap50", "Average precision at IoU 0.50", percent=True),
)
"""How a detection's logged metrics are drawn."""

_SHOWN_WORST, _SHOWN_BEST = 12, 3
_SHOWN_CLASSES = 40


def detection_report(evaluated: Evaluated, class_names: Sequence[str]) -> TaskReport:
    """Returns a detection's part of a report.

    Args:
        evaluated: `predictions` are `Peaks`; `parts` has boxes in pixels and their classes.
        class_names: a name for each class.
    """
    curves = precision_recall(_found(evaluated), len(class_names))
    comparisons = compare_all(evaluated)
    objects, images = int(curves.objects.sum()), len(comparisons)
    found = sum(int(each.found.sum()) for each in comparisons)
    false = sum(int((~each.right).sum()) for each in comparisons)
    numbers = {"ap": curves.average(), "ap50": curves.average(0.5), "ap75": curves.average(0.75)}
    metrics = {name: float(np.nan_to_num(value)) for name, value in numbers.items()}
    split = evaluated.split.capitalize()
    return TaskReport(
        figures=(
            Figure(
                f"{split} AP",
                percent(metrics["ap"], exact=False),
                f"the mean over IoU 0.50 to 0.95; {objects:,} objects in {images:,} images",
            ),
            Figure("AP at IoU 0.50", percent(metrics["ap50"], exact=False), "COCO's AP50"),
            Figure(
                "Objects found",
                percent(found / max(objects, 1)),
                f"{found:,} of {objects:,} by boxes of scores from {SHOWN_FROM}, with {false:,} "
                "boxes that find none",
            ),
        ),
        sections=(
            _precision_section(curves, class_names),
            _picture_section(evaluated, comparisons, class_names),
        ),
        metrics=metrics,
    )


def worst_first(evaluated: Evaluated) -> Int[np.ndarray, " examples"]:
    """Returns the places of the images, those with the most mistakes for their objects first.

    Args:
        evaluated: predictions and examples of the evaluated split.
    """
    return _order(compare_all(evaluated))


def _order(comparisons: Sequence[Comparison]) -> Int[np.ndarray, " examples"]:
    shares = [each.mistakes / max(len(each.found), 1) for each in comparisons]
    return np.argsort(-np.array(shares), kind="stable")


def _found(evaluated: Evaluated) -> Found:
    """Returns detections and objects in pixels of the stored images."""
    boxes, labels = true_objects(evaluated)
    height, width = evaluated.images.shape[1:3]
    pixels = np.array([height, width, height, width], np.float64)
    scores, classes, shares = (np.asarray(part) for part in evaluated.predictions)
    return Found(shares.astype(np.float64) * pixels, scores, classes, boxes * pixels, labels)


def _precision_section(curves: PrecisionRecall, class_names: Sequence[str]) -> Section:
    """Returns precision by recall, average precision by overlap, and a table of the classes."""
    common = np.argsort(-curves.objects, kind="stable")[:MOST_SERIES]
    shown = [label for label in sorted(common.tolist()) if curves.objects[label]]
    by_recall = Chart(
        "Precision by recall",
        [
            Series(
                str(class_names[label]),
                (100 * RECALLS).tolist(),
                (100 * curves.precision[0, :, label]).tolist(),
                marks=False,
            )
            for label in shown
        ],
        across="recall (%)",
        up="precision (%)",
        caption="At IoU 0.50, from the boxes of the highest scores on. The area below a curve is "
        "the class's AP at that overlap."
        + (f" The {MOST_SERIES} classes with most objects." if len(class_names) > 6 else ""),
    )
    by_overlap = [float(np.nan_to_num(curves.average(t))) for t in IOU_THRESHOLDS]
    by_iou = Chart(
        "AP by overlap",
        [Series("", IOU_THRESHOLDS.tolist(), [100 * value for value in by_overlap])],
        across="least IoU of a box that is right",
        up="AP (%)",
        caption="A fall to the right: objects are found, but their boxes are not exact.",
    )
    return Section(
        "detection",
        "Found and missed",
        "A box is right where it overlaps an object of its class, not yet found by a box of a "
        "higher score, by at least the given intersection over union (IoU).",
        [by_recall, by_iou, _class_table(curves, class_names)],
        link="Precision",
    )


def _class_table(curves: PrecisionRecall, class_names: Sequence[str]) -> Table:
    whole, half = curves.by_class(), curves.by_class(0.5)
    order = np.argsort(np.nan_to_num(whole, nan=2), kind="stable")
    order = [label for label in order.tolist() if curves.objects[label]]
    rows = [
        (
            str(class_names[label]),
            f"{curves.objects[label]:,}",
            percent(float(whole[label]), digits=1, exact=False),
            Cell("", bar=float(whole[label])),
            percent(float(half[label]), digits=1, exact=False),
            percent(float(curves.recall[0, label]), digits=1),
        )
        for label in order[:_SHOWN_CLASSES]
    ]
    cut = len(order) > _SHOWN_CLASSES
    return Table(
        f"The {_SHOWN_CLASSES} weakest classes" if cut else "Classes, the weakest first",
        (
            "class",
            Column("objects", number=True),
            Column("AP", number=True),
            "",
            Column("AP at 0.50", number=True),
            Column("recall at 0.50", number=True),
        ),
        rows,
        wide=True,
        empty="There are no objects.",
    )


def _picture_section(
    evaluated: Evaluated, comparisons: Sequence[Comparison], class_names: Sequence[str]
) -> Section:
    order = _order(comparisons)
    worst = [place for place in order[:_SHOWN_WORST].tolist() if comparisons[place].mistakes]
    best = [place for place in order[::-1][:_SHOWN_BEST].tolist() if place not in worst]
    parts = [
        Pictures(title, _cards(evaluated, comparisons, class_names, chosen), large=True)
        for title, chosen in (("The worst images", worst), ("The best images", best))
        if chosen
    ]
    return Section(
        "boxes",
        "Images with their boxes",
        f"Boxes of scores from {SHOWN_FROM}. Green, dashed: an object. Blue: a box that finds one, "
        "with at least half of their union in common. Orange: a box that finds none, and an object "
        "that no box finds. The images with the most mistakes for their objects come first.",
        parts,
        link="Boxes",
    )


def _cards(
    evaluated: Evaluated,
    comparisons: Sequence[Comparison],
    class_names: Sequence[str],
    chosen: Sequence[int],
) -> list[Picture]:
    images = np.asarray(evaluated.images[np.array(chosen)])
    cards = []
    for image, place in zip(images, chosen, strict=True):
        each = comparisons[place]
        missed, false = int((~each.found).sum()), int((~each.right).sum())
        position = int(evaluated.positions[place])
        line = f"{int(each.found.sum())} of {len(each.found)} found, {false} boxes that find none"
        cards.append(
            Picture(
                image,
                lines=(f"image {position}", line),
                alt=f"{evaluated.split.capitalize()} image {position} with boxes: {line}, {missed} "
                "missed",
                boxes=marked(each, class_names),
            )
        )
    return cards


def marked(each: Comparison, class_names: Sequence[str]) -> tuple[MarkedBox, ...]:
    """Returns the boxes to draw on an image: its objects, then its detections.

    Args:
        each: the image's detections and objects.
        class_names: a name for each class.
    """
    boxes = [
        marked_box(
            box,
            "" if found else f"missed {class_names[label]}",
            "truth" if found else "missed",
        )
        for box, label, found in zip(each.true_boxes, each.true_labels, each.found, strict=True)
    ]
    boxes += [
        marked_box(box, f"{class_names[label]} {score:.0%}", "right" if right else "wrong")
        for box, label, score, right in zip(
            each.boxes, each.labels, each.scores, each.right, strict=True
        )
    ]
    return tuple(boxes)
