"""A localization's part of a report: figures, classes, overlaps, and pictures with boxes."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from cnnjax.tasks.boxes.text import marked_box
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
    MetricChart("localization_accuracy", "Localization accuracy", percent=True, also="error"),
    MetricChart("accuracy", "Accuracy of the class", percent=True, also="error"),
    MetricChart("mean_iou", "Mean IoU", percent=True),
)
"""How a localization's logged metrics are drawn."""

_SHOWN_WORST, _SHOWN_BEST = 12, 3
_SHOWN_CLASSES = 40
_OVERLAPS = np.linspace(0.0, 1.0, 101)


class LocalizationReport(NamedTuple):
    """A localization's report.

    Attributes:
        report: what a page shows.
        order: places of the images, the worst first.
    """

    report: TaskReport
    order: Int[np.ndarray, " examples"]


class _Results(NamedTuple):
    """How good each prediction is; boxes are shares of the image's sides."""

    labels: Int[np.ndarray, " examples"]
    guesses: Int[np.ndarray, " examples"]
    sure: Float[np.ndarray, " examples"]
    boxes: Float[np.ndarray, "examples 4"]
    true_boxes: Float[np.ndarray, "examples 4"]
    iou: Float[np.ndarray, " examples"]

    @property
    def class_right(self) -> Bool[np.ndarray, " examples"]:
        return self.labels == self.guesses

    @property
    def box_right(self) -> Bool[np.ndarray, " examples"]:
        return self.iou >= 0.5

    @property
    def right(self) -> Bool[np.ndarray, " examples"]:
        return self.class_right & self.box_right


def localization_report(evaluated: Evaluated, class_names: Sequence[str]) -> LocalizationReport:
    """Returns a localization's part of a report, and the images by how wrong they are.

    Args:
        evaluated: `predictions` are `Placed`; `parts` has boxes in pixels and the classes.
        class_names: a name for each class.
    """
    results = _results(evaluated)
    total = len(results.labels)
    means = {
        "localization_accuracy": float(results.right.mean()),
        "accuracy": float(results.class_right.mean()),
        "box_accuracy": float(results.box_right.mean()),
        "mean_iou": float(results.iou.mean()),
    }
    # Wrong classes first among equally bad boxes.
    order = np.lexsort((results.class_right, results.iou))
    figures = (
        Figure(
            f"{evaluated.split.capitalize()} localization accuracy",
            percent(means["localization_accuracy"]),
            f"{int(results.right.sum()):,} of {total:,} images with the right class and a box of "
            "IoU 0.50 or more",
        ),
        Figure("Right class", percent(means["accuracy"]), "whatever the box"),
        Figure("Right box", percent(means["box_accuracy"]), "IoU 0.50 or more, whatever the class"),
        Figure("Mean IoU", f"{means['mean_iou']:.3f}", "of the box with the true one"),
    )
    sections = (
        _overlap_section(results, class_names),
        _picture_section(evaluated, results, order, class_names),
    )
    return LocalizationReport(TaskReport(figures, sections, means), order)


def _results(evaluated: Evaluated) -> _Results:
    log_probabilities, boxes = (np.asarray(part) for part in evaluated.predictions)
    truth = np.asarray(evaluated.parts["boxes"], np.float64)[:, 0]
    labels = evaluated.parts.get("label")
    labels = np.asarray(evaluated.parts["boxes_label"])[:, 0] if labels is None else labels
    height, width = evaluated.images.shape[1:3]
    truth = truth / np.array([height, width, height, width])
    boxes = boxes.astype(np.float64)
    low, high = np.maximum(boxes[:, :2], truth[:, :2]), np.minimum(boxes[:, 2:], truth[:, 2:])
    shared = np.maximum(high - low, 0).prod(axis=1)
    areas = [np.maximum(each[:, 2:] - each[:, :2], 0).prod(axis=1) for each in (boxes, truth)]
    union = areas[0] + areas[1] - shared
    iou = np.nan_to_num(shared / np.where(union > 0, union, 1))
    guesses = np.nan_to_num(log_probabilities, nan=-np.inf).argmax(axis=1)
    # A prediction that is no number is of no class.
    guesses = np.where(np.isnan(log_probabilities).any(axis=1), -1, guesses)
    sure = np.exp(np.nan_to_num(log_probabilities.max(axis=1), nan=-np.inf))
    return _Results(np.asarray(labels), guesses, sure, boxes, truth, iou)


def _overlap_section(results: _Results, class_names: Sequence[str]) -> Section:
    reached = (results.iou[None] >= _OVERLAPS[:, None]).mean(axis=1)
    both = ((results.iou[None] >= _OVERLAPS[:, None]) & results.class_right[None]).mean(axis=1)
    chart = Chart(
        "Right boxes by overlap",
        [
            Series("box", _OVERLAPS.tolist(), (100 * reached).tolist(), marks=False),
            Series("box and class", _OVERLAPS.tolist(), (100 * both).tolist(), marks=False),
        ],
        across="least IoU of a box that is right",
        up="images (%)",
        caption="At 0.50 the lower line is the localization accuracy.",
    )
    rows = []
    for label, name in enumerate(class_names):
        own = results.labels == label
        if own.any():
            share = float(results.right[own].mean())
            rows.append(
                (
                    share,
                    name,
                    f"{int(own.sum()):,}",
                    percent(share, digits=1),
                    Cell("", bar=share),
                    percent(float(results.class_right[own].mean()), digits=1),
                    f"{results.iou[own].mean():.3f}",
                )
            )
    rows.sort(key=lambda row: row[0])
    table = Table(
        "Classes, the weakest first",
        (
            "class",
            Column("images", number=True),
            Column("right", number=True),
            "",
            Column("right class", number=True),
            Column("mean IoU", number=True),
        ),
        [row[1:] for row in rows[:_SHOWN_CLASSES]],
    )
    caption = "An image is right where its class is, and the box overlaps the true one by half."
    return Section("localization", "Classes and boxes", caption, [chart, table], link="Overlap")


def _picture_section(
    evaluated: Evaluated,
    results: _Results,
    order: Int[np.ndarray, " examples"],
    class_names: Sequence[str],
) -> Section:
    worst = order[:_SHOWN_WORST].tolist()
    best = [place for place in order[::-1][:_SHOWN_BEST].tolist() if place not in worst]
    parts = [
        Pictures(title, _cards(evaluated, results, chosen, class_names), large=True)
        for title, chosen in (("The worst boxes", worst), ("The best boxes", best))
        if chosen
    ]
    return Section(
        "boxes",
        "Images with their boxes",
        "Green, dashed: the object. Blue: a box of IoU 0.50 or more with the right class. Orange: "
        "another box or class. The lowest overlaps come first.",
        parts,
        link="Boxes",
    )


def _cards(
    evaluated: Evaluated, results: _Results, chosen: Sequence[int], class_names: Sequence[str]
) -> list[Picture]:
    images = np.asarray(evaluated.images[np.array(chosen)])
    cards = []
    for image, place in zip(images, chosen, strict=True):
        truth = class_names[int(results.labels[place])]
        guess = int(results.guesses[place])
        name = class_names[guess] if guess >= 0 else "not a number"
        line = f"IoU {results.iou[place]:.2f}, predicted {name}"
        position = int(evaluated.positions[place])
        tone = "right" if results.right[place] else "wrong"
        cards.append(
            Picture(
                image,
                heading=truth,
                label="truth",
                lines=(line, f"image {position}"),
                alt=f"{evaluated.split.capitalize()} image {position}, {truth}: {line}",
                boxes=(
                    marked_box(results.true_boxes[place], "", "truth"),
                    marked_box(results.boxes[place], f"{name} {results.sure[place]:.0%}", tone),
                ),
            )
        )
    return cards
