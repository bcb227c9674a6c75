"""Domain-adversarial training, against the gradients of two losses that are written out."""

import math
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from cnnjax import data, models, training
from cnnjax.training.check import check_run
from cnnjax.training.step.gradients import batch_gradients
from cnnjax.training.step.state import create_state
from cnnjax.transfer import domains
from cnnjax.transfer.few_labels import hide_labels
from tests.helpers.trees import assert_close

NETWORK = models.create_model("simple_cnn", 3, widths=(4,), norm="none")
MODEL = domains.AdversarialNet(NETWORK, "stage1", hidden=(7,))
NAMES = ("a", "b", "c")
TASK = domains.DomainAdversarial(NAMES, total_steps=10, gamma=3.0, strength=0.4)
RANDOM = np.random.default_rng(0)
BATCH = {
    "image": RANDOM.normal(size=(16, 8, 8, 1)).astype(np.float32),
    "label": RANDOM.integers(0, 3, 16).astype(np.int32),
    "weight": np.array([1, 1, 0, 1] * 4, np.float32),
    "unlabeled": {
        "image": RANDOM.normal(size=(8, 8, 8, 1)).astype(np.float32),
        "weight": np.array([1, 0.5, 1, 1, 1, 0, 1, 1], np.float32),
    },
}
VARIABLES = jax.jit(MODEL.init)(jax.random.key(0), BATCH["image"][:1])
STEP = 4


STATE = create_state(VARIABLES, optax.sgd(0.1)).replace(step=jnp.int32(STEP))


@pytest.fixture(scope="module")
def whole():
    """Gradients, loss and sums of the whole batch."""
    found = jax.jit(
        lambda state, batch: batch_gradients(
            state, batch, jax.random.key(1), model=MODEL, task=TASK
        )[:3]
    )
    return found(STATE, BATCH)


def head(params, feature):
    x = feature.reshape(len(feature), -1)
    for name in ("hidden1", "classifier"):
        x = x @ params[name]["kernel"] + params[name]["bias"].reshape(1, -1)
        x = jnp.maximum(x, 0) if name == "hidden1" else x
    return x


def two_losses(network, domain_head):
    """Returns the classification loss and the domain loss of the batch, from their definitions."""

    def run(images):
        return models.apply_with_features(NETWORK, {"params": network}, jnp.asarray(images))

    def mean(losses, weight):
        return (losses * weight).sum() / weight.sum()

    cross_entropy = optax.softmax_cross_entropy_with_integer_labels
    logits, features = run(BATCH["image"])
    _, others = run(BATCH["unlabeled"]["image"])
    source = cross_entropy(head(domain_head, features["stage1"]), np.zeros(16, int))
    target = cross_entropy(head(domain_head, others["stage1"]), np.ones(8, int))
    weight = BATCH["weight"]
    domain = mean(source, weight) + mean(target, BATCH["unlabeled"]["weight"])
    return mean(cross_entropy(logits, BATCH["label"]), weight), domain / 2


def test_the_network_ascends_the_domain_loss_and_the_head_descends_it(whole):
    found, loss, _ = whole
    reversal = 0.4 * (2 / (1 + math.exp(-3.0 * STEP / 10)) - 1)

    def opposed(network, domain_head):
        classification, domain = two_losses(network, domain_head)
        return classification - reversal * domain, (classification, domain)

    params = VARIABLES["params"]
    slopes, (classification, domain) = jax.jit(jax.grad(opposed, argnums=(0, 1), has_aux=True))(
        params["network"], params["domain_head"]
    )
    assert_close(found["network"], slopes[0], rtol=1e-4, atol=1e-6)
    descent = jax.tree.map(lambda slope: -slope / reversal, slopes[1])
    assert_close(found["domain_head"], descent, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(loss, classification + domain, rtol=1e-5)


@pytest.mark.slow
def test_parts_and_devices_add_up_to_the_whole_batch(whole):
    spread = jax.pmap(
        lambda state, batch: batch_gradients(
            state, batch, jax.random.key(1), model=MODEL, task=TASK, parts=2, axis_name="data"
        )[:3],
        axis_name="data",
        in_axes=(None, 0),
    )
    cut = jax.tree.map(lambda x: x.reshape(2, len(x) // 2, *x.shape[1:]), BATCH)
    found = jax.tree.map(lambda x: x[0], spread(STATE, cut))
    assert_close(found, whole, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("step", "expected"), [(0, 0.0), (5, 0.9866), (10, 0.9999)])
def test_the_strength_grows_as_published(step, expected):
    task = domains.DomainAdversarial(NAMES, total_steps=10)
    assert float(task.strength_at(step)) == pytest.approx(expected, abs=1e-4)
    assert expected == pytest.approx(2 / (1 + math.exp(-step)) - 1, abs=1e-4)


def test_the_rate_falls_as_published():
    rate = domains.annealed_rate(200, 0.01)
    assert rate(0) == 0.01
    assert rate(100) == pytest.approx(0.01 / 6**0.75)


def examples(count, labeled=True, channels=1):
    images = RANDOM.integers(0, 256, (count, 8, 8, channels), dtype=np.uint8)
    whole = data.from_arrays(image=images, label=np.arange(count) % 3)
    return whole if labeled else hide_labels(whole)


def make_run(task=TASK, model: Any = MODEL, target=None):
    target = examples(20, labeled=False) if target is None else target
    return training.Run(
        model=model,
        task=task,
        train={
            "source": data.Stream(examples(32), 16),
            "unlabeled": data.Stream(target, 8),
        },
        test=examples(9),
        split="validation",
        optimizer=optax.sgd(0.01),
        epochs=2,
    )


@pytest.mark.slow
def test_a_run_sees_no_label_of_the_target_and_reports_the_domain_head():
    run = make_run()
    assert list(run.streams["unlabeled"].examples.spec) == ["image"]
    result = training.fit(run, progress=False, cadence=training.Cadence(log_every=1))
    logged = result.history[0]
    assert {"domain_loss", "domain_accuracy", "accuracy"} <= logged.keys()
    assert 0 <= logged["domain_accuracy"] <= 1
    # Evaluation is classification alone.
    assert list(result.metrics) == ["loss", "accuracy", "top5_error"]


WRONG = {
    "network": (lambda: make_run(model=NETWORK), "SimpleCNN has no domain head"),
    "feature": (
        lambda: make_run(model=domains.AdversarialNet(NETWORK, "stage2")),
        "feature 'stage2' is unknown; did you mean stage1",
    ),
    "labels": (lambda: make_run(target=examples(20)), 'the stream "unlabeled" has labels'),
    "channels": (
        lambda: make_run(target=examples(20, labeled=False, channels=3)),
        r'the stream "unlabeled" has \(8, 8, 3\), but the source has images of \(8, 8, 1\)',
    ),
    "stream": (
        lambda: make_run().replace(train=examples(32), batch_size=16),
        'there is no stream "unlabeled"',
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_run_that_does_not_fit_the_method_is_refused(name):
    make, message = WRONG[name]
    with pytest.raises(training.ConfigError, match=message):
        check_run(make())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "task.total_steps: 0 was given"),
        ({"total_steps": True}, "task.total_steps: True was given"),
        ({"total_steps": 9, "gamma": -1.0}, r"task.gamma: -1.0 was given; give 0 or more"),
        ({"total_steps": 9, "strength": float("nan")}, "task.strength: nan was given"),
        ({"total_steps": 9, "auxiliary_weight": 0.3}, "task.auxiliary_weight: 0.3 was given"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        domains.DomainAdversarial(NAMES, **settings)


def test_a_network_without_named_features_is_refused():
    with pytest.raises(ValueError, match="Dense has no named features"):
        domains.AdversarialNet(linen.Dense(3), "stage1")


@pytest.mark.parametrize("hidden", [100, (0,), (True,), (2.5,)])
def test_sizes_of_the_head_are_checked(hidden):
    with pytest.raises(ValueError, match="hidden must be a tuple of whole numbers from 1 on"):
        domains.AdversarialNet(NETWORK, "stage1", hidden=hidden)
