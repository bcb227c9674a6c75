"""FixMatch's loss against its definition, its streams, and what it refuses."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from cnnjax import data, tasks, training
from cnnjax.training.check import check_run
from cnnjax.transfer.few_labels import FixMatch, consistency, fixmatch_streams, split_labels
from tests.transfer.few_labels.linear_net import LinearNet

NAMES = ("a", "b", "c")


def batch(seed=0):
    rng = np.random.default_rng(seed)

    def images(count):
        return jnp.asarray(rng.normal(size=(count, 2, 2, 1)), jnp.float32)

    other: dict[str, Any] = {"weak": {"image": images(6)}, "strong": {"image": images(6)}}
    other["weight"] = jnp.array([1.0, 1, 1, 1, 0, 1])
    first = {"image": images(4), "label": jnp.array([0, 1, 2, 1]), "weight": jnp.ones(4)}
    return {**first, "unlabeled": other}


def softmax(logits):
    values = np.exp(logits)
    return values / values.sum(axis=1, keepdims=True)


@partial(jax.jit, static_argnums=0)
def loss_of(task, variables, batch):
    moment = tasks.Moment(jax.random.key(0), train=True, totals=task.totals(batch))
    return task.loss(LinearNet(), variables, batch, moment)


def test_the_loss_is_equations_three_and_four():
    given = batch()
    kernel = np.random.default_rng(1).normal(size=(4, 3))
    variables = {"params": {"Dense_0": {"kernel": jnp.asarray(kernel, jnp.float32)}}}

    def probabilities(images):
        return softmax(np.asarray(images, np.float64).reshape(len(images), 4) @ kernel)

    supervised = -np.log(probabilities(given["image"])[np.arange(4), [0, 1, 2, 1]]).mean()
    other = given["unlabeled"]
    weak, strong = (probabilities(other[view]["image"]) for view in ("weak", "strong"))
    sure = (weak.max(axis=1) >= 0.7) & (np.asarray(other["weight"]) > 0)
    assert 0 < sure.sum() < 5
    # The mean is over all five images that count, not over those that gave a label.
    unlabeled = sum(-np.log(s[w.argmax()]) for w, s in zip(weak[sure], strong[sure], strict=True))
    task = FixMatch(NAMES, threshold=0.7, unlabeled_weight=2.0)
    value, (sums, _) = loss_of(task, variables, given)
    np.testing.assert_allclose(value, supervised + 2 * unlabeled / 5, rtol=1e-5)
    metrics = task.metrics(sums)
    assert metrics["confident"] == pytest.approx(sure.sum() / 5)
    assert metrics["unlabeled_loss"] == pytest.approx(unlabeled / 5, rel=1e-5)
    assert metrics["loss"] == pytest.approx(supervised, rel=1e-5)


def test_no_gradient_goes_through_the_weak_view():
    strong = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    weak = 3 * strong[::-1]

    def total(weak, strong):
        return consistency(weak, strong, 0.5)[0].sum()

    to_weak, to_strong = map(np.asarray, jax.jit(jax.grad(total, argnums=(0, 1)))(weak, strong))
    assert not to_weak.any()
    assert to_strong.any()


def test_half_precision_does_not_round_up_to_the_threshold():
    # 0.9478, which bfloat16 would round to 0.9492.
    weak = jnp.asarray([[2.9, 0.0]], jnp.bfloat16)
    probability = 1 / (1 + np.exp(-float(weak[0, 0])))
    assert not consistency(weak, weak, probability + 1e-4)[1][0]
    assert consistency(weak, weak, probability - 1e-4)[1][0]


def examples(count=60):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (count, 2, 2, 1), dtype=np.uint8)
    return data.from_arrays(image=images, label=np.arange(count) % 3)


def streams(**changes):
    split = split_labels(examples().column("label"), 2)
    labeled, unlabeled = (data.choose(examples(), positions) for positions in split)
    options = {"batch_size": 4, "mu": 3, "weak": "flip", "strong": "flip, cutout(1)", **changes}
    return fixmatch_streams(labeled, unlabeled, **options)


def test_streams_hide_the_labels_and_repeat_the_labeled_examples():
    made = streams(epoch_steps=5)
    assert list(made["unlabeled"].examples.spec) == ["image"]
    assert made["unlabeled"].batch_size == 12
    assert len(made["unlabeled"].examples) == 54
    assert made["labeled"].epoch_steps >= 5
    unique, counts = np.unique(made["labeled"].examples.column("image"), axis=0, return_counts=True)
    assert (len(unique), set(counts)) == (6, {4})


def run(**changes):
    made = training.Run(
        model=LinearNet(), task=FixMatch(NAMES), train=streams(), optimizer=optax.sgd(0.1)
    )
    return made.replace(**changes)


def test_a_run_without_both_views_is_refused_before_any_work():
    check_run(run())
    alone = streams()["labeled"]
    plain = data.Stream(data.from_arrays(image=np.zeros((8, 2, 2, 1))), 4)
    for train in ({"labeled": alone}, {"labeled": alone, "unlabeled": plain}):
        with pytest.raises(training.ConfigError, match="make both streams with fixmatch_streams"):
            check_run(run(train=train))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"threshold": 1.5}, "task.threshold: 1.5 was given; give 0 to 1"),
        ({"threshold": float("nan")}, "task.threshold: nan"),
        ({"unlabeled_weight": -1.0}, "task.unlabeled_weight: -1.0 was given; give 0 or more"),
        ({"auxiliary_weight": 0.3}, "FixMatch trains no auxiliary heads: set it to 0"),
    ],
)
def test_wrong_settings_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        FixMatch(NAMES, **fields)


@pytest.mark.parametrize("name", ["batch_size", "mu", "epoch_steps"])
def test_wrong_sizes_of_streams_are_refused(name):
    for value in (0, 1.5, True):
        with pytest.raises(ValueError, match=f"{name}: {value} was given"):
            streams(**{name: value})


@pytest.mark.slow
@pytest.mark.parametrize("spread", ["jit", "pmap", "parts"])
def test_devices_and_parts_train_what_one_device_trains(spread):
    task = FixMatch(NAMES, threshold=0.6)
    whole = run(train=streams(batch_size=8, epoch_steps=4), task=task, epochs=2)
    one = training.fit(whole, progress=False)
    if spread == "parts":
        found = training.fit(whole.replace(accumulate=4), progress=False)
    else:
        found = training.fit(whole, progress=False, parallel=training.Parallel(spread))
    assert 0 < one.history[-1]["confident"] < 1
    for name in ("loss", "unlabeled_loss", "confident"):
        assert found.history[-1][name] == pytest.approx(one.history[-1][name], rel=1e-4)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6),
        found.variables,
        one.variables,
    )
