import numpy as np
import pytest

from cnnjax.tasks.class_predictions import ClassPredictions


def log_softmax(logits):
    """In float64, then as a network gives them."""
    logits = np.asarray(logits, np.float64)
    shifted = logits - logits.max(axis=1, keepdims=True)
    return (shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))).astype(np.float32)


def small():
    probabilities = np.array(
        [
            [0.70, 0.10, 0.10, 0.04, 0.03, 0.03],
            [0.20, 0.30, 0.10, 0.25, 0.10, 0.05],
            [0.05, 0.15, 0.18, 0.20, 0.22, 0.20],
            [0.05, 0.15, 0.18, 0.20, 0.22, 0.20],
        ],
        np.float32,
    )
    return ClassPredictions(np.log(probabilities), np.array([0, 3, 0, 4]), tuple("abcdef"))


def test_counts_right_predictions_and_top5_misses():
    assert small().right.tolist() == [True, False, False, True]
    # Class 0 of the third image is the least probable of six.
    assert small().top5_misses == 1


def test_confusions_are_pairs_of_truth_and_prediction():
    assert small().commonest_confusions() == [(0, 4, 1), (3, 1, 1)]


def test_most_certain_mistake_and_narrowest_right_one_come_first():
    assert small().mistakes().tolist() == [1, 2]
    assert small().narrowest().tolist() == [3, 0]
    assert small().most_certain() == 0
    assert [c for c, _ in small().top(1)] == [1, 3, 0]


def test_log_odds_are_those_of_the_probability():
    expected = np.log([0.7 / 0.3, 0.3 / 0.7, 0.22 / 0.78, 0.22 / 0.78])
    np.testing.assert_allclose(small().log_odds, expected, rtol=1e-5)


@pytest.mark.parametrize("scale", [1.0, 300.0, 1e4])
def test_classes_whose_probabilities_underflow_are_ranked_by_their_logits(scale):
    rng = np.random.default_rng(0)
    logits = scale * rng.normal(size=(400, 10))
    labels = rng.integers(0, 10, 400)
    own = np.take_along_axis(logits, labels[:, None], axis=1)
    misses = int(((logits > own).sum(axis=1) >= 5).sum())
    predictions = ClassPredictions(log_softmax(logits), labels, tuple("abcdefghij"))
    assert predictions.top5_misses == misses
    order = [np.argsort(-row).tolist() for row in logits[:20]]
    assert [[c for c, _ in predictions.top(i, 10)] for i in range(20)] == order


def test_mistakes_whose_probabilities_are_all_one_are_ranked_by_their_margins():
    margins = np.array([40.0, 200.0, 90.0, 1000.0, 60.0])
    logits = np.zeros((5, 3))
    logits[:, 1] = margins
    predictions = ClassPredictions(log_softmax(logits), np.zeros(5, int), ("a", "b", "c"))
    assert (np.exp(predictions.log_probabilities[:, 1]) == 1).all()
    assert predictions.mistakes().tolist() == np.argsort(-margins).tolist()
    # Two others of logit 0 beside it.
    np.testing.assert_allclose(predictions.log_odds, margins - np.log(2), rtol=1e-6)


def test_right_ones_whose_probabilities_are_all_one_are_ranked_by_their_margins():
    logits = np.zeros((3, 3))
    logits[:, 1] = [500, 100, 300]
    predictions = ClassPredictions(log_softmax(logits), np.ones(3, int), ("a", "b", "c"))
    assert predictions.narrowest().tolist() == [1, 2, 0]
    assert predictions.most_certain() == 0


def test_an_image_without_numbers_is_wrong_and_least_certain():
    values = log_softmax([[0.0, 3.0], [0.0, 1.0], [0.0, 1.0]])
    values[0, 0] = np.nan
    predictions = ClassPredictions(values, np.array([0, 0, 1]), ("a", "b"))
    assert predictions.predicted.tolist() == [2, 1, 1]
    assert predictions.mistakes().tolist() == [1, 0]
    assert predictions.top(0) == []
    assert predictions.assessment.unanswered == 1


def test_names_and_labels_must_fit():
    with pytest.raises(ValueError, match="5 labels and 2 class names"):
        ClassPredictions(np.zeros((4, 2), np.float32), np.zeros(5, int), ("a", "b"))
