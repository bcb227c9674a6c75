"""A segmentation in words, and its part of a report: figures, classes, confusions, worst images."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import UInt8

from cnnjax.tasks.sections import (
    Cell,
    Column,
    Evaluated,
    Example,
    Figure,
    Matrix,
    MetricChart,
    Picture,
    Pictures,
    Section,
    Table,
    TaskReport,
    percent,
)
from cnnjax.tasks.segmentation.drawing import panels_of
from cnnjax.tasks.segmentation.evaluated_masks import ImageFigures, image_figures
from cnnjax.tasks.values import Answer

CURVES = (
    MetricChart("loss", "Loss", log=True),
    MetricChart("mean_iou", "Mean IoU", percent=True, also="1 - mean IoU"),
    MetricChart("pixel_accuracy", "Pixel accuracy", percent=True, also="error"),
)
"""How a segmentation's logged metrics are drawn."""

_WORST = 12
_TYPICAL = 4


def mask_answer(
    prediction: UInt8[np.ndarray, "height width"], class_names: Sequence[str], top: int
) -> Answer:
    """Returns the share of an image's pixels that each class has, the largest first.

    Args:
        prediction: the class of each pixel.
        class_names: a name for each class.
        top: how many classes to name.
    """
    counts = np.bincount(prediction.reshape(-1), minlength=len(class_names))
    largest: list[int] = np.argsort(-counts, kind="stable")[:top].tolist()
    order = [c for c in largest if counts[c]]
    shares = [(class_names[c], float(counts[c] / prediction.size)) for c in order]
    columns: dict[str, str | float] = {}
    for number, (name, share) in enumerate(shares, 1):
        columns |= {f"class_{number}": name, f"share_{number}": share}
    return Answer(
        ", ".join(f"{name} {share:.2%}" for name, share in shares),
        {"classes": [{"name": name, "share": share} for name, share in shares]},
        columns,
        mask=prediction,
    )


def evaluation_lines(split: str, metrics: Mapping[str, float]) -> list[tuple[str, str]]:
    """Returns the lines that a program prints of an evaluation.

    Args:
        split: name of the evaluated split, "test".
        metrics: those of `Segmentation.metrics`.
    """
    names = {
        "mean_iou": "mean IoU",
        "mean_iou_per_image": "mean IoU per image",
        "foreground_iou": "foreground IoU",
        "pixel_accuracy": "pixel accuracy",
        "class_accuracy": "mean class accuracy",
    }
    lines = [(f"{split} {text}", f"{metrics[name]:.2%}") for name, text in names.items()]
    return [*lines, (f"{split} loss", f"{metrics['loss']:.6g}")]


def segmentation_report(
    evaluated: Evaluated, class_names: Sequence[str], ignore_label: int
) -> TaskReport:
    """Returns a segmentation's part of a report.

    Args:
        evaluated: `predictions` are labels [examples, height, width]; `parts` has "mask".
        class_names: a name for each class.
        ignore_label: a label that does not count.
    """
    figures = image_figures(evaluated, len(class_names), ignore_label)
    metrics = {**figures.whole.metrics(), "mean_iou_per_image": figures.mean_iou_per_image}
    sections = [
        _class_section(figures, class_names, evaluated.split),
        _image_section(figures, evaluated, class_names, ignore_label),
    ]
    worst = figures.worst()
    example = None
    if len(worst):
        place = int(worst[len(worst) // 2])
        name = f"{evaluated.split} image {evaluated.positions[place]}, of middling IoU"
        answer = mask_answer(np.asarray(evaluated.predictions)[place], class_names, 3)
        example = Example(place, name, heading="predicted", note=answer.line)
    return TaskReport(_figures(figures, evaluated.split), sections, metrics, example)


def _figures(figures: ImageFigures, split: str) -> tuple[Figure, ...]:
    whole = figures.whole
    return (
        Figure(
            f"{split.capitalize()} mean IoU",
            percent(whole.mean_iou),
            f"of one confusion over {whole.pixels:,} pixels; {percent(figures.mean_iou_per_image)} "
            "as a mean over images",
        ),
        Figure("Foreground IoU", percent(whole.foreground_iou), "all classes but the first as one"),
        Figure(
            "Pixel accuracy",
            percent(whole.pixel_accuracy),
            f"{percent(whole.class_accuracy)} as a mean over classes",
        ),
    )


def _class_section(figures: ImageFigures, names: Sequence[str], split: str) -> Section:
    whole = figures.whole
    totals = whole.counts.sum(axis=1)
    order: list[int] = np.argsort(np.nan_to_num(whole.class_ious, nan=2.0), kind="stable").tolist()
    rows = [
        (
            names[c],
            f"{totals[c]:,}",
            _share(whole.class_ious[c]),
            Cell("", bar=float(np.nan_to_num(whole.class_ious[c])), good=True),
            _share(whole.class_accuracies[c]),
            _share(whole.class_precisions[c]),
        )
        for c in order
    ]
    numbers = [Column(name, True) for name in ("pixels", "IoU")]
    shares = [Column(name, True) for name in ("recall", "precision")]
    table = Table(
        "IoU of each class, the lowest first",
        ("class", *numbers, "", *shares),
        rows,
        caption="Recall: the share of the class's pixels that is predicted as it. Precision: the "
        "share of the pixels predicted as it that is of the class.",
        wide=True,
    )
    # In per cent: counts of pixels are too long for the cells.
    percents = np.rint(100 * whole.counts / np.maximum(totals, 1).reshape(-1, 1)).astype(np.int64)
    matrix = Matrix(names, percents, down="truth", across="predicted", unit="% of the class")
    caption = (
        f"Each row of the matrix holds the {split} pixels of one class, in per cent of them; each "
        "column what the network took them for."
    )
    return Section("pixels", "Classes and confusions", caption, (table, matrix), link="Classes")


def _image_section(
    figures: ImageFigures, evaluated: Evaluated, names: Sequence[str], ignore_label: int
) -> Section:
    order = figures.worst()
    worst = order[:_WORST]
    middle = order[len(worst) :]
    start = max(0, (len(middle) - _TYPICAL) // 2)
    groups = {"The worst images": worst, "Images of middling IoU": middle[start : start + _TYPICAL]}
    parts = [
        Pictures(
            title,
            [
                Picture(
                    pixels,
                    heading=f"IoU {percent(float(figures.ious[place]), digits=1)}",
                    label=f"{evaluated.split} image {evaluated.positions[place]}",
                    lines=(f"{percent(float(figures.wrong[place]), digits=1)} of pixels wrong",),
                    alt=f"{evaluated.split} image {evaluated.positions[place]}: image, true "
                    "classes, predicted classes and errors",
                )
                for place, pixels in zip(
                    places, panels_of(evaluated, places, len(names), ignore_label), strict=True
                )
            ],
            large=True,
        )
        for title, places in groups.items()
        if len(places)
    ]
    caption = (
        "Above: the image and the true classes. Below: the predicted classes and the error, in "
        "which wrong pixels are red and pixels that do not count are blue."
    )
    return Section("images", "Images, the worst first", caption, parts, link="Images")


def _share(value: float | np.ndarray) -> str:
    return "none" if np.isnan(value) else percent(float(value), digits=1)
