"""The losses against their defining sums in NumPy float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit

from cnnjax.tasks import losses

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(12, 5)) * 2
LABELS = RNG.integers(0, 5, 12)
MIXED = RNG.dirichlet(np.ones(5), size=12)


@pytest.fixture(autouse=True)
def double_precision():
    with jax.enable_x64(True):
        yield


def hinge_of(scores, label):
    """Adds up the margins of the wrong classes, one by one."""
    total = 0.0
    for other, score in enumerate(scores):
        if other != label:
            total += max(0.0, score - scores[label] + 1)
    return total


def test_hinge_is_the_sum_over_the_wrong_classes():
    values = losses.multiclass_hinge(jnp.asarray(LOGITS), jnp.asarray(LABELS))
    expected = [hinge_of(scores, label) for scores, label in zip(LOGITS, LABELS, strict=True)]
    np.testing.assert_allclose(values, expected, rtol=1e-12)


def test_hinge_of_the_lectures_example():
    # CS231n, lecture 3: cat 3.2, car 5.1, frog -1.7; losses 2.9, 0 and 12.9.
    scores = jnp.array([[3.2, 5.1, -1.7], [1.3, 4.9, 2.0], [2.2, 2.5, -3.1]])
    values = losses.multiclass_hinge(scores, jnp.array([0, 1, 2]))
    np.testing.assert_allclose(values, [2.9, 0.0, 12.9], atol=1e-12)


def test_hinge_of_mixed_labels_is_the_mean_over_them():
    values = losses.expected_over_labels(
        losses.multiclass_hinge, jnp.asarray(LOGITS), jnp.asarray(MIXED)
    )
    expected = [
        sum(share * hinge_of(scores, label) for label, share in enumerate(shares))
        for scores, shares in zip(LOGITS, MIXED, strict=True)
    ]
    np.testing.assert_allclose(values, expected, rtol=1e-12)


def test_sigmoid_cross_entropy_adds_up_one_against_the_rest():
    values = losses.sigmoid_cross_entropy(jnp.asarray(LOGITS), jnp.asarray(MIXED))
    probabilities = expit(LOGITS)
    expected = -(MIXED * np.log(probabilities) + (1 - MIXED) * np.log(1 - probabilities)).sum(
        axis=1
    )
    np.testing.assert_allclose(values, expected, rtol=1e-12)


def test_squared_error_is_the_squared_distance():
    values = losses.squared_error(jnp.asarray(LOGITS), jnp.asarray(MIXED))
    expected = [np.linalg.norm(a - b) ** 2 for a, b in zip(LOGITS, MIXED, strict=True)]
    np.testing.assert_allclose(values, expected, rtol=1e-12)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_softmax_of_mixed_labels_is_linear_in_them(smoothing):
    logits = jnp.asarray(LOGITS)
    values = losses.softmax_cross_entropy(logits, jnp.asarray(MIXED), smoothing)
    of_class = [
        losses.softmax_cross_entropy(logits, jnp.tile(row, (12, 1)), smoothing) for row in np.eye(5)
    ]
    np.testing.assert_allclose(values, (MIXED * np.stack(of_class, axis=1)).sum(axis=1), rtol=1e-12)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_half_precision_logits_give_losses_in_float32(dtype):
    logits, targets = jnp.asarray(LOGITS, dtype), jnp.asarray(MIXED, jnp.float32)
    labels = jnp.asarray(LABELS)
    for values in (
        losses.softmax_cross_entropy(logits, targets),
        losses.sigmoid_cross_entropy(logits, targets),
        losses.squared_error(logits, targets),
        losses.multiclass_hinge(logits, labels),
    ):
        assert values.dtype == jnp.float32


@pytest.mark.parametrize("name", ["softmax", "hinge", "sigmoid", "squared"])
def test_a_loss_is_found_by_its_name(name):
    logits, labels, targets = map(jnp.asarray, (LOGITS, LABELS, np.eye(5)[LABELS]))
    by_label = losses.class_losses(logits, name, labels)
    by_target = losses.class_losses(logits, name, labels, targets)
    np.testing.assert_allclose(by_label, by_target, rtol=1e-6)
    assert by_label.shape == (12,)


@pytest.mark.parametrize(
    "loss", [losses.softmax_cross_entropy, losses.sigmoid_cross_entropy, losses.squared_error]
)
def test_targets_of_other_classes_are_refused(loss):
    with pytest.raises((TypeError, ValueError), match="shape"):
        loss(jnp.asarray(LOGITS), jnp.asarray(MIXED[:, :4]))


def test_a_hinge_of_labels_that_are_no_integers_is_refused():
    with pytest.raises(TypeError, match="integer"):
        losses.multiclass_hinge(jnp.asarray(LOGITS), jnp.asarray(LABELS, jnp.float32))
