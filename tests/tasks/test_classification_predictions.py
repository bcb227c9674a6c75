"""A classifier's predictions: joined, assessed, as text, and the images of its mistakes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_softmax

from cnnjax.tasks import Classification
from cnnjax.tasks.heads import Heads
from cnnjax.tasks.sections import Evaluated
from tests.tasks.scores import LABELS, LOGITS, batch_of

RNG = np.random.default_rng(0)


def test_predictions_are_log_probabilities_in_float32_and_nan_where_logits_are_not_finite():
    logits = np.array(LOGITS, np.float32)
    logits[3, 0] = np.inf
    task = Classification(tuple("0123456789"))
    found = task.predict(jnp.asarray(logits))
    assert np.isnan(found[3]).all()
    kept = np.arange(20) != 3
    np.testing.assert_allclose(found[kept], log_softmax(LOGITS, axis=1)[kept], rtol=1e-5, atol=1e-6)
    assert task.predict(jnp.zeros((2, 10), jnp.bfloat16)).dtype == jnp.float32
    np.testing.assert_array_equal(task.predict(Heads(jnp.asarray(logits), ())), found)


def test_predictions_combine_to_mean_probabilities():
    opinions = np.stack([log_softmax(RNG.normal(size=(6, 4)) * 4, axis=1) for _ in range(3)])
    opinions = opinions.astype(np.float32)
    task = Classification(tuple("abcd"))
    found = np.exp(task.combine(jnp.asarray(opinions)))
    np.testing.assert_allclose(found, np.exp(opinions.astype(np.float64)).mean(axis=0), rtol=1e-5)
    np.testing.assert_array_equal(task.combine(jnp.asarray(opinions[:1])), opinions[0])


def test_predictions_are_assessed_by_sums_of_any_batches():
    logs = log_softmax(LOGITS, axis=1).astype(np.float32)
    task = Classification(tuple("0123456789"))
    batches = [batch_of(LOGITS[part], LABELS[part]) for part in (slice(0, 8), slice(8, 20))]
    sums = [
        task.prediction_sums(jnp.asarray(logs[part]), batch)
        for part, batch in zip((slice(0, 8), slice(8, 20)), batches, strict=True)
    ]
    evaluation = task.assess(jax.tree.map(lambda a, b: np.asarray(a + b), *sums))
    right = LOGITS.argmax(axis=1) == LABELS
    assert evaluation.metrics["accuracy"] == pytest.approx(right.mean())
    nll = -log_softmax(LOGITS, axis=1)[np.arange(20), LABELS].mean()
    assert evaluation.metrics["nll"] == pytest.approx(nll, rel=1e-5)
    assert dict(evaluation.lines)["images"] == "20"
    assert np.trace(evaluation.details["confusion"]) == right.sum()


def test_pictures_show_the_surest_mistake_first():
    images = np.arange(3, dtype=np.uint8).reshape(3, 1, 1, 1)
    predictions = np.log(np.array([[0.6, 0.4], [0.1, 0.9], [0.2, 0.8]], np.float32))
    evaluated = Evaluated(
        predictions, {"label": np.array([1, 0, 1])}, images, np.arange(3), split="test"
    )
    pictures = Classification(("a", "b")).pictures(evaluated)
    np.testing.assert_array_equal(pictures.ravel(), [1, 0])


def test_a_small_probability_is_never_shown_as_zero():
    logs = np.array([0.0, -9.4, -3000.0, -np.inf], np.float32)
    answer = Classification(tuple("abcd")).answer(logs, top=4)
    for name, text in (part.split(" ", 1) for part in answer.line.split(", ")):
        assert (text == "0.00%") == (name == "d")


def test_guesses_are_ranked_by_log_probabilities_also_where_all_underflow():
    logs = np.array([-500.0, -300.0, 0.0, -400.0], np.float32)
    answer = Classification(tuple("abcd")).answer(logs, top=4)
    assert [guess["name"] for guess in answer.values["classes"]] == ["c", "b", "d", "a"]
    assert answer.columns["class_2"] == "b"
    assert answer.values["classes"][0]["probability"] == 1
    assert len(Classification(tuple("abcd")).answer(logs, top=2).values["classes"]) == 2


def test_a_split_without_examples_has_no_figures():
    task = Classification(tuple("0123456789"))
    nothing = task.prediction_sums(
        jnp.asarray(log_softmax(LOGITS, axis=1), jnp.float32),
        batch_of(LOGITS, LABELS, np.zeros(20)),
    )
    with pytest.raises(ValueError, match="no example counted"):
        task.assess(nothing)
