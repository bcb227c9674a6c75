"""Ridge regression against the normal equations and scikit-learn."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from cnnjax import transfer


def examples(count, width, seed=0):
    """Returns features of four classes that overlap, on scales that differ."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, count)
    centers = np.random.default_rng(9).normal(size=(4, width))
    noise = rng.normal(0, 2.0, (count, width))
    return ((centers[labels] + noise) * np.logspace(-1, 1, width) + 5).astype(np.float32), labels


@pytest.mark.parametrize(("count", "width"), [(60, 7), (20, 33)], ids=["tall", "wide"])
@pytest.mark.parametrize("penalty", [1e-3, 10.0])
def test_the_weights_solve_the_normal_equations(count, width, penalty):
    features, labels = examples(count, width)
    probe = transfer.fit_linear_probe(features, labels, classes=4, penalties=[penalty])
    x = features.astype(np.float64)
    centered, targets = x - x.mean(0), np.eye(4)[labels]
    scatter = centered.T @ centered + penalty * np.eye(width)
    weights = np.linalg.solve(scatter, centered.T @ (targets - targets.mean(0)))
    np.testing.assert_allclose(probe.weights, weights, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(probe.bias, targets.mean(0) - x.mean(0) @ weights, rtol=1e-6)
    reference = Ridge(alpha=penalty).fit(x, targets)
    np.testing.assert_allclose(probe.scores(features), reference.predict(x), rtol=1e-5, atol=1e-7)


def test_the_penalty_with_the_best_validation_accuracy_is_chosen():
    features, labels = examples(40, 30)
    others = examples(200, 30, seed=1)
    penalties = [1e-4, 1.0, 100.0, 1e4, 1e5]
    probe = transfer.fit_linear_probe(
        features, labels, classes=4, validation=others, penalties=penalties
    )
    expected = {}
    for penalty in penalties:
        reference = Ridge(alpha=penalty).fit(features.astype(float), np.eye(4)[labels])
        right = reference.predict(others[0]).argmax(1) == others[1]
        expected[penalty] = right.mean()
    assert probe.accuracies == expected
    assert len(set(expected.values())) > 1
    best = max(expected.values())
    assert probe.penalty == max(p for p in penalties if expected[p] == best)
    assert probe.accuracy(*others) == best


def test_the_default_penalties_follow_the_scale_of_the_features():
    features, labels = examples(40, 10)
    others = examples(50, 10, seed=1)
    one, scaled = (
        transfer.fit_linear_probe(
            s * features, labels, classes=4, validation=(s * others[0], others[1])
        )
        for s in (1, 1000)
    )
    np.testing.assert_allclose(scaled.penalty, 1e6 * one.penalty, rtol=1e-3)
    np.testing.assert_allclose(scaled.scores(1000 * others[0]), one.scores(others[0]), rtol=1e-3)


def test_features_that_are_all_equal_give_the_frequencies_of_the_classes():
    probe = transfer.fit_linear_probe(
        np.ones((4, 2)), np.array([0, 1, 1, 1]), classes=2, penalties=[1.0]
    )
    np.testing.assert_allclose(probe.scores(np.ones((1, 2))), [[0.25, 0.75]])


FEATURES, LABELS = examples(8, 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": FEATURES[:5]}, r"features: shape \(5, 3\) was given with labels of shape"),
        ({"features": FEATURES[0]}, r"features: shape \(3,\)"),
        ({"features": FEATURES * np.nan}, "features: some are not finite"),
        ({"classes": 2}, "there are 2 classes, counted from 0"),
        ({"labels": LABELS - 4}, "they go from -"),
        ({"penalties": [0.0]}, r"penalties: \[0.0\] was given; give numbers above 0"),
        ({"penalties": []}, "give numbers above 0"),
        ({"penalties": None}, "there are no validation examples to choose one by"),
        ({"validation": (FEATURES[:, :2], LABELS)}, "its 2 features differ from the 3 of training"),
    ],
)
def test_wrong_arguments_are_refused(changes, message):
    given = {"features": FEATURES, "labels": LABELS, "classes": 4, "penalties": [1.0]}
    given |= changes
    with pytest.raises(ValueError, match=message):
        transfer.fit_linear_probe(given.pop("features"), given.pop("labels"), **given)


def test_another_number_of_features_is_refused_later():
    probe = transfer.fit_linear_probe(FEATURES, LABELS, classes=4, penalties=[1.0])
    with pytest.raises(ValueError, match=r"the probe takes \[examples, 3\]"):
        probe.scores(FEATURES[:, :2])
