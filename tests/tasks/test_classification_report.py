import numpy as np
import pytest

from cnnjax.tasks import Classification
from cnnjax.tasks.class_predictions import ClassPredictions
from cnnjax.tasks.classification_report import classification_report
from cnnjax.tasks.sections import Bars, Evaluated, Matrix, Pictures, Table
from tests.tasks.test_class_predictions import log_softmax, small


def report(predictions=None, split="test", files=None):
    predictions = predictions or small()
    count = len(predictions.labels)
    evaluated = Evaluated(
        predictions=predictions.log_probabilities,
        parts={"label": predictions.labels},
        images=np.zeros((count, 4, 4, 1), np.uint8),
        positions=np.arange(count) + 100,
        split=split,
        files=files,
    )
    return Classification(tuple(predictions.class_names)).report_sections(evaluated)


def part(made, kind, title=None):
    parts = [part for section in made.sections for part in section.parts]
    return next(p for p in parts if isinstance(p, kind) and title in (None, p.title))


def test_figures_count_right_predictions():
    figures = report().figures
    assert [(f.name, f.value) for f in figures] == [
        ("Test accuracy", "50.00 %"),
        ("Top-5 error", "25.00 %"),
    ]
    assert figures[0].note == "2 of 4 images right, 6 classes"
    assert figures[1].note.startswith("1 image with")
    assert report().metrics == pytest.approx({"accuracy": 0.5, "top5_error": 0.25})


def test_top5_error_of_five_classes_is_no_figure():
    predictions = ClassPredictions(log_softmax(np.eye(5)), np.arange(5), tuple("abcde"))
    made = report(predictions, split="validation")
    assert [figure.name for figure in made.figures] == ["Validation accuracy"]


def test_matrix_has_the_truth_in_rows():
    counts = part(report(), Matrix).counts
    found = {tuple(map(int, c)): int(counts[tuple(c)]) for c in np.argwhere(counts)}
    assert found == {(0, 0): 1, (3, 1): 1, (0, 4): 1, (4, 4): 1}


def test_classes_are_listed_from_the_worst():
    rows = part(report(), Table, "Accuracy by class").rows
    assert [(row[0], row[2], row[3]) for row in rows] == [
        ("d", "0.00 %", "0 of 1"),
        ("a", "50.00 %", "1 of 2"),
        ("e", "100.00 %", "1 of 1"),
    ]


def test_calibration_compares_confidence_with_accuracy():
    bars = part(report(), Bars)
    # Bins: 0.7 right alone, 0.3 wrong alone, 0.22 one of two right.
    assert [(b.height, b.share) for b in bars.bins] == [(0.5, 0.5), (0, 0.25), (1, 0.25)]
    assert [b.mark for b in bars.bins] == pytest.approx([0.22, 0.3, 0.7])
    error, confidence = (0.3 + 0.3 + 2 * 0.28) / 4, (0.7 + 0.3 + 2 * 0.22) / 4
    assert f"error {100 * error:.2f} %" in bars.caption
    assert f"is {100 * confidence:.2f} % sure on average, and 50.00 % right" in bars.caption
    assert bars.bins[0].title == (
        "Confidence 20 to 27 %: 2 images, 50.0 % of all; 50.0 % right, 22.0 % sure"
    )


def test_an_infinite_likelihood_is_left_out():
    values = np.array([[0.0, -np.inf]], np.float32)
    made = report(ClassPredictions(values, np.array([1]), ("a", "b")))
    assert "likelihood" not in part(made, Bars).caption


def test_mistakes_show_position_truth_and_three_classes():
    first = part(report(), Pictures, "").pictures[0]
    assert (first.label, first.heading, first.lines) == ("truth", "d", ("image 101",))
    assert [(bar.name, bar.good) for bar in first.bars] == [("b", False), ("d", True), ("a", False)]
    assert first.alt == "Test image 101, of class d; predicted: b"


def test_mistakes_show_the_names_of_their_files():
    files = [f"photos/class {i}/image_{i}.jpeg" for i in range(4)]
    pictures = part(report(files=files), Pictures).pictures
    numbers = [picture.lines[0] for picture in part(report(), Pictures).pictures]
    for picture, number in zip(pictures, numbers, strict=True):
        place = int(number.removeprefix("image ")) - 100
        assert (picture.file, picture.lines) == (f"image_{place}.jpeg", ())
        assert picture.alt.startswith(f"class {place}/image_{place}.jpeg, of class ")


def test_the_example_is_the_surest_right_one():
    example = report().example
    assert example is not None
    assert (example.place, example.name) == (0, "test image 100, of class a")
    assert [bar.name for bar in example.bars] == list("abcde")


def test_an_image_without_numbers_is_named_so():
    values = small().log_probabilities.copy()
    values[0, 0] = np.nan
    made = report(ClassPredictions(values, small().labels, small().class_names))
    assert made.figures[0].note.endswith("1 without a number")
    card = part(made, Pictures, "").pictures[-1]
    assert card.lines == ("image 100", "not a number") and not card.bars


def test_labels_that_do_not_fit_the_predictions_are_refused():
    evaluated = Evaluated(
        predictions=small().log_probabilities,
        parts={"label": small().labels[:3]},
        images=np.zeros((4, 4, 4, 1), np.uint8),
        positions=np.arange(4),
    )
    with pytest.raises(ValueError, match="for 3 labels and 6 class names"):
        classification_report(evaluated, "abcdef")
