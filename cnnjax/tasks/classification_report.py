"""A classification's part of a report: figures, confusions, classes, calibration and mistakes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int

from cnnjax.tasks.assessment import CalibrationBin
from cnnjax.tasks.class_predictions import ClassPredictions
from cnnjax.tasks.class_text import mistake_text
from cnnjax.tasks.class_tree import hierarchical_error
from cnnjax.tasks.sections import (
    Bar,
    Bars,
    Bin,
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

CURVES = (
    MetricChart(
        "loss",
        "Loss",
        log=True,
        note="Label smoothing, where it is on, raises the training loss only.",
    ),
    MetricChart("accuracy", "Accuracy", percent=True, also="error"),
)
"""How a classification's logged metrics are drawn."""

_SHOWN_CLASSES = 20
_SHOWN_MISTAKES = 36
_SHOWN_NARROW = 8
# Bins with fewer images are drawn pale, since their accuracy is uncertain.
_FEW = 10


def classification_report(
    evaluated: Evaluated,
    class_names: Sequence[str],
    costs: Int[np.ndarray, "classes classes"] | None = None,
) -> TaskReport:
    """Returns a classification's part of a report.

    Args:
        evaluated: `predictions` are log-probabilities, float32 [examples, classes]; `parts` has
            "label", integers [examples].
        class_names: one name a class.
        costs: see `ClassTree.costs`; None for no hierarchical error.

    Raises:
        ValueError: predictions, labels and names do not fit each other.
    """
    predictions = ClassPredictions(
        np.asarray(evaluated.predictions),
        np.asarray(evaluated.parts["label"]),
        tuple(class_names),
    )
    assessment = predictions.assessment
    return TaskReport(
        figures=(*_figures(predictions, evaluated.split), *_tree_figures(predictions, costs)),
        sections=(
            _confusion_section(predictions, evaluated.split),
            _class_section(predictions),
            _mistake_section(predictions, evaluated),
        ),
        metrics={"accuracy": assessment.accuracy, "top5_error": assessment.top5_error},
        example=_example(predictions, evaluated),
    )


def _figures(predictions: ClassPredictions, split: str) -> tuple[Figure, ...]:
    assessment, classes = predictions.assessment, len(predictions.class_names)
    unanswered = assessment.unanswered
    missing = f", {unanswered:,} without a number" if unanswered else ""
    accuracy = Figure(
        f"{split.capitalize()} accuracy",
        percent(assessment.accuracy),
        f"{assessment.right:,} of {_count(assessment.examples, 'image')} right, "
        f"{classes:,} classes{missing}",
    )
    if classes <= 5:  # the truth is always among five
        return (accuracy,)
    misses = predictions.top5_misses
    top5 = Figure(
        "Top-5 error",
        percent(misses / assessment.examples),
        f"{_count(misses, 'image')} with the truth not among five guesses",
    )
    return accuracy, top5


def _tree_figures(
    predictions: ClassPredictions, costs: Int[np.ndarray, "classes classes"] | None
) -> tuple[Figure, ...]:
    if costs is None:
        return ()
    tree = hierarchical_error(predictions.assessment.counts, costs)
    return (Figure("Hierarchical error", percent(tree.error), mistake_text(tree)),)


def _confusion_section(predictions: ClassPredictions, split: str) -> Section:
    confusion = predictions.assessment.confusion
    names, totals = predictions.class_names, predictions.assessment.class_totals
    matrix = Matrix(names, confusion, down="truth", across="predicted", unit="images")
    pairs = [
        (names[truth], names[wrong], f"{count:,}", percent(count / totals[truth], digits=1))
        for truth, wrong, count in predictions.commonest_confusions()
    ]
    commonest = Table(
        "Commonest confusions",
        ("truth", "predicted", Column("images", True), Column("of the class", True)),
        pairs,
        empty="None: every image was predicted rightly.",
    )
    caption = (
        f"Each row holds the {split} images of one class; each column what the network took them "
        "for. Right predictions lie on the diagonal, mistakes beside it."
    )
    parts = (matrix, commonest)
    return Section("confusion", "Confusion matrix", caption, parts, link="Confusions")


def _class_section(predictions: ClassPredictions) -> Section:
    parts = (_class_table(predictions), _calibration(predictions))
    return Section("classes", "Classes and calibration", "", parts)


def _class_table(predictions: ClassPredictions) -> Table:
    """Returns the accuracy of each class, the worst first; of many classes only the worst."""
    assessment = predictions.assessment
    accuracy, totals = assessment.class_accuracy, assessment.class_totals
    # A class without images has no accuracy.
    present = np.flatnonzero(totals)
    order: list[int] = present[np.argsort(accuracy[present], kind="stable")].tolist()
    shown = order[:_SHOWN_CLASSES]
    rows = [
        (
            predictions.class_names[c],
            Cell("", bar=float(accuracy[c]), good=True),
            percent(float(accuracy[c])),
            f"{assessment.confusion[c, c]:,} of {totals[c]:,}",
        )
        for c in shown
    ]
    which = f"The {len(shown)} worst of {len(order):,}" if len(shown) < len(order) else "All"
    columns = ("class", "", Column("right", True), Column("images", True))
    return Table("Accuracy by class", columns, rows, f"{which} classes, the worst first.")


def _calibration(predictions: ClassPredictions) -> Bars:
    assessment = predictions.assessment
    filled = [b for b in assessment.bins if b.examples]
    counted = max(sum(b.examples for b in filled), 1)
    confidence = sum(b.examples * b.confidence for b in filled) / counted
    likelihood = ""
    # One image whose true class has probability 0 makes the mean infinite.
    if np.isfinite(assessment.nll):
        likelihood = f" Negative log-likelihood {assessment.nll:.3g} nats."
    return Bars(
        "Calibration",
        [_bin(b, counted) for b in filled],
        across="confidence, %",
        up="right, %",
        below="share of the images",
        keys=("right", "mean confidence"),
        note="Of the images predicted with some confidence (the probability of the class "
        f"predicted), the share that is right, in {len(assessment.bins)} bins. On the dashed line "
        "the two are equal.",
        caption=f"Expected calibration error {percent(assessment.calibration_error)}: the network "
        f"is {percent(confidence, exact=False)} sure on average, and "
        f"{percent(assessment.accuracy)} right.{likelihood} Bins of fewer than {_FEW} images are "
        "pale.",
    )


def _bin(part: CalibrationBin, total: int) -> Bin:
    share = part.examples / total
    words = (
        f"Confidence {100 * part.low:.0f} to {100 * part.high:.0f} %: "
        f"{_count(part.examples, 'image')}, {percent(share, digits=1)} of all; "
        f"{percent(part.accuracy, digits=1)} right, "
        f"{percent(part.confidence, digits=1, exact=False)} sure"
    )
    pale = part.examples < _FEW
    return Bin(part.low, part.high, part.accuracy, part.confidence, share, pale, words)


def _mistake_section(predictions: ClassPredictions, evaluated: Evaluated) -> Section:
    mistakes, split = predictions.mistakes(), evaluated.split
    total, wrong = len(predictions.labels), len(mistakes)
    shown = mistakes[:_SHOWN_MISTAKES]
    if len(shown) < wrong:
        which = f"The {len(shown)} most certain of {wrong:,} mistakes"
    elif wrong == 1:
        which = "The only mistake"
    else:
        which = f"All {wrong} mistakes, the most certain first"
    caption = (
        f"{which}: the image, its true class, and the three classes that the network held most "
        "probable. The bar of the true class is blue."
    )
    if not wrong:
        caption = f"All {total:,} {split} images were predicted rightly."
    narrowest = Pictures(
        "Right by the narrowest margin",
        _cards(predictions, evaluated, predictions.narrowest()[:_SHOWN_NARROW]),
        "Predicted rightly, with the second class closest behind.",
    )
    parts = [Pictures("", _cards(predictions, evaluated, shown)), narrowest]
    return Section(
        "mistakes",
        "The mistakes" if wrong else "No mistakes",
        caption,
        [part for part in parts if part.pictures],
        link="Mistakes",
    )


def _cards(
    predictions: ClassPredictions, evaluated: Evaluated, chosen: Int[np.ndarray, " chosen"]
) -> list[Picture]:
    """Returns images with their true class and the predicted ones."""
    if not len(chosen):
        return []
    images = np.asarray(evaluated.images[chosen])
    cards = []
    for image, place in zip(images, chosen.tolist(), strict=True):
        truth = predictions.class_names[int(predictions.labels[place])]
        bars = _bars(predictions, place, 3)
        found = bars[0].name if bars else "nothing"
        number = f"image {int(evaluated.positions[place])}"
        file = None if evaluated.files is None else Path(evaluated.files[int(place)])
        numbers = (number,) if file is None else ()
        name = f"{evaluated.split.capitalize()} {number}"
        name = name if file is None else f"{file.parent.name}/{file.name}"
        cards.append(
            Picture(
                image,
                heading=truth,
                label="truth",
                lines=(*numbers, *(() if bars else ("not a number",))),
                bars=bars,
                alt=f"{name}, of class {truth}; predicted: {found}",
                file="" if file is None else file.name,
            )
        )
    return cards


def _bars(predictions: ClassPredictions, place: int, count: int) -> tuple[Bar, ...]:
    truth, names = int(predictions.labels[place]), predictions.class_names
    return tuple(
        Bar(names[c], share, good=c == truth) for c, share in predictions.top(place, count)
    )


def _example(predictions: ClassPredictions, evaluated: Evaluated) -> Example:
    place = predictions.most_certain()
    truth = predictions.class_names[int(predictions.labels[place])]
    return Example(
        place,
        f"{evaluated.split} image {evaluated.positions[place]}, of class {truth}",
        _bars(predictions, place, 5),
        heading="predicted",
        note="probabilities (softmax)",
    )


def _count(number: int, unit: str) -> str:
    return f"{number:,} {unit}{'' if number == 1 else 's'}"
