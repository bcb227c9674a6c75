"""Figures of predictions, against scikit-learn's and the definitions written out."""

import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import metrics

from cnnjax.tasks.assessment import CALIBRATION_BINS, Assessment, assessment_sums

CLASSES = 7
NAMES = tuple("abcdefg")
summed = jax.jit(assessment_sums)


def predictions(count=200, seed=0):
    """Log-probabilities that are right more often than not, and labels; class g never occurs."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES - 1, count).astype(np.int32)
    logits = rng.normal(size=(count, CLASSES)) * 2
    logits[np.arange(count), labels] += 2
    shifted = logits - logits.max(axis=1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return logs.astype(np.float32), labels


def assess(logs, labels, weights=None):
    weights = np.ones(len(labels), np.float32) if weights is None else weights
    sums = summed(jnp.asarray(logs), jnp.asarray(labels), jnp.asarray(weights))
    return Assessment.from_sums(jax.device_get(sums), NAMES)


def test_figures_agree_with_scikit_learn():
    logs, labels = predictions()
    assessed = assess(logs, labels)
    probabilities = np.exp(logs.astype(np.float64))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    predicted = probabilities.argmax(axis=1)
    every = np.arange(CLASSES)
    assert assessed.examples == 200
    assert assessed.accuracy == metrics.accuracy_score(labels, predicted)
    top5 = metrics.top_k_accuracy_score(labels, probabilities, k=5, labels=every)
    assert assessed.top5_error == pytest.approx(1 - top5, abs=1e-12)
    assert assessed.nll == pytest.approx(
        metrics.log_loss(labels, probabilities, labels=every), rel=1e-5
    )
    np.testing.assert_array_equal(
        assessed.confusion, metrics.confusion_matrix(labels, predicted, labels=every)
    )
    each_class: Any = None
    recalls = metrics.recall_score(labels, predicted, labels=every[:-1], average=each_class)
    np.testing.assert_allclose(assessed.class_accuracy[:-1], recalls, rtol=1e-12)
    assert np.isnan(assessed.class_accuracy[-1])


def test_calibration_error_is_guos_sum_over_bins():
    logs, labels = predictions(seed=1)
    confidence = np.exp(logs.max(axis=1))
    right = logs.argmax(axis=1) == labels
    error = 0.0
    bins = assess(logs, labels).bins
    for m in range(1, CALIBRATION_BINS + 1):
        inside = (confidence > (m - 1) / CALIBRATION_BINS) & (confidence <= m / CALIBRATION_BINS)
        assert bins[m - 1].examples == inside.sum()
        if inside.any():
            assert bins[m - 1].accuracy == pytest.approx(right[inside].mean())
            assert bins[m - 1].confidence == pytest.approx(confidence[inside].mean(), rel=1e-5)
            error += inside.sum() / 200 * abs(right[inside].mean() - confidence[inside].mean())
    assert assess(logs, labels).calibration_error == pytest.approx(error, rel=1e-4)


@pytest.mark.parametrize(("probability", "place"), [(1.0, 14), (0.62, 9), (0.58, 8)])
def test_certainty_falls_into_the_last_bin(probability, place):
    rest = (1 - probability) / (CLASSES - 1)
    with np.errstate(divide="ignore"):
        logs = np.log(np.array([[probability] + [rest] * (CLASSES - 1)], np.float32))
    bins = assess(logs, np.array([0])).bins
    assert [b.examples for b in bins].index(1) == place


def test_sums_of_any_split_add_up_and_weight_zero_does_not_count():
    logs, labels = predictions(count=50)
    whole = assess(logs, labels)
    padded = np.concatenate([logs, np.full((6, CLASSES), np.nan, np.float32)])
    padded_labels = np.concatenate([labels, np.zeros(6, np.int32)])
    weights = np.repeat([1.0, 0.0], [50, 6]).astype(np.float32)
    parts = [
        jax.device_get(summed(*map(jnp.asarray, part)))
        for part in zip(
            *(np.split(values, 4) for values in (padded, padded_labels, weights)),
            strict=True,
        )
    ]
    joined = Assessment.from_sums(jax.tree.map(lambda *p: sum(p), *parts), NAMES)
    np.testing.assert_array_equal(joined.counts, whole.counts)
    assert joined.metrics() == pytest.approx(whole.metrics(), rel=1e-5)
    assert joined.unanswered == 0


def test_what_is_not_a_number_is_wrong_and_reported():
    logs, labels = predictions(count=20)
    logs[3] = np.nan
    assessed = assess(logs, labels)
    assert assessed.examples == 20
    assert assessed.unanswered == 1
    assert assessed.counts[labels[3], CLASSES] == 1
    right = (np.delete(logs, 3, axis=0).argmax(axis=1) == np.delete(labels, 3)).sum()
    assert assessed.right == right
    assert sum(b.examples for b in assessed.bins) == 19
    written = json.loads(json.dumps(assessed.as_json(), allow_nan=False))
    assert written["nll"] is None
    assert written["unanswered"] == 1


def test_impossible_truth_has_infinite_likelihood_and_ties_go_to_the_lower_class():
    logs = np.full((1, CLASSES), -np.inf, np.float32)
    logs[0, 2] = 0
    assert assess(logs, np.array([4])).nll == np.inf
    assert assess(logs, np.array([4])).unanswered == 0
    even = np.full((1, CLASSES), -np.log(CLASSES), np.float32)
    assert assess(even, np.array([0])).accuracy == 1
    assert assess(even, np.array([5])).top5_error == 1


def test_nothing_counted_is_refused():
    logs, labels = predictions(count=3)
    with pytest.raises(ValueError, match="no example counted"):
        assess(logs, labels, np.zeros(3, np.float32))
