import numpy as np
import pytest
from cnnjax.reports.outcome import Outcome
from cnnjax.reports.outcome_calibration import calibration_section
from cnnjax.reports.outcome_section import class_section


def _outcome():
    probabilities = np.array(
        [
            [0.70, 0.10, 0.10, 0.04, 0.03, 0.03],
            [0.20, 0.30, 0.10, 0.25, 0.10, 0.05],
            [0.05, 0.15, 0.18, 0.20, 0.22, 0.20],
            [0.05, 0.15, 0.18, 0.20, 0.22, 0.20],
        ],
        np.float32,
    )
    return Outcome(probabilities, np.array([0, 3, 0, 4]), tuple("abcdef"))


def test_counts_right_answers_and_top5_misses():
    assert _outcome().right == 2
    # Class 0 of the third image is the least probable of six.
    assert _outcome().top5_misses == 1


def test_confusion_has_truth_in_rows():
    confusion = _outcome().confusion()
    expected = {(0, 0): 1, (3, 1): 1, (0, 4): 1, (4, 4): 1}
    assert {
        tuple(map(int, c)): int(confusion[tuple(c)]) for c in np.argwhere(confusion)
    } == expected
    assert _outcome().commonest_confusions() == [(0, 4, 1), (3, 1, 1)]


def test_most_certain_mistake_and_narrowest_hit_come_first():
    assert _outcome().mistakes().tolist() == [1, 2]
    assert _outcome().narrowest().tolist() == [3, 0]
    assert [c for c, _ in _outcome().top(1)] == [1, 3, 0]


def test_names_and_labels_must_fit():
    with pytest.raises(ValueError, match="5 labels and 2 class names"):
        Outcome(np.zeros((4, 2), np.float32), np.zeros(5, int), ("a", "b"))


def test_classes_are_listed_from_the_worst():
    section = class_section(_outcome())
    assert [(row["name"], row["right"], row["images"]) for row in section["rows"]] == [
        ("d", 0, 1),
        ("a", 1, 2),
        ("e", 1, 1),
    ]
    assert section["total"] == 3


def test_calibration_compares_confidence_with_accuracy():
    section = calibration_section(_outcome())
    assert section["confidence"] == pytest.approx((0.7 + 0.3 + 2 * 0.22) / 4)
    assert section["accuracy"] == 0.5
    # Bins: 0.7 right alone, 0.3 wrong alone, 0.22 one of two right.
    assert section["error"] == pytest.approx((0.3 + 0.3 + 2 * 0.28) / 4, rel=1e-5)
    chart = section["chart"]
    assert chart.count("<title>") == 3
    assert "Confidence 20 to 27 %: 2 images, 50.0 % of all; 50.0 % right, 22.0 % sure" in chart


def test_a_probability_of_zero_for_the_truth_is_told_as_no_likelihood():
    outcome = Outcome(np.array([[1.0, 0.0]], np.float32), np.array([1]), ("a", "b"))
    assert calibration_section(outcome)["nll"] is None
    assert outcome.right == 0
