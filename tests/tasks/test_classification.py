"""The losses and the metrics of classification, and what it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_softmax

from cnnjax.data.examples import PartSpec
from cnnjax.tasks import Classification
from tests.tasks.scores import LABELS, LOGITS, Scores, batch_of, moment, run, sums_of

RNG = np.random.default_rng(0)


def test_loss_is_the_mean_negative_log_likelihood():
    task = Classification(tuple("0123456789"))
    loss, _ = run(task, batch_of(LOGITS, LABELS), train=False)
    expected = -log_softmax(LOGITS, axis=1)[np.arange(20), LABELS].mean()
    assert float(loss) == pytest.approx(expected, rel=1e-6)


def test_label_smoothing_acts_in_training_alone():
    task = Classification(tuple("0123456789"), label_smoothing=0.1)
    logp = log_softmax(LOGITS, axis=1)
    plain = -logp[np.arange(20), LABELS].mean()
    smooth = -(0.9 * logp[np.arange(20), LABELS] + 0.1 * logp.mean(axis=1)).mean()
    assert float(run(task, batch_of(LOGITS, LABELS), True)[0]) == pytest.approx(smooth, rel=1e-6)
    assert float(run(task, batch_of(LOGITS, LABELS), False)[0]) == pytest.approx(plain, rel=1e-6)


def test_only_training_updates_the_collections():
    task = Classification(tuple("0123456789"))
    assert run(task, batch_of(LOGITS, LABELS), True)[1][1]["batch_stats"]["count"] == 1
    assert run(task, batch_of(LOGITS, LABELS), False)[1][1] == {}


def test_metrics_of_parts_add_up_to_those_of_the_whole():
    task = Classification(tuple("0123456789"))
    whole = task.metrics(run(task, batch_of(LOGITS, LABELS), False)[1][0])
    # The second part is filled up with an example of weight 0.
    parts = [
        batch_of(LOGITS[:13], LABELS[:13]),
        batch_of(
            np.vstack([LOGITS[13:], LOGITS[:1]]),
            np.append(LABELS[13:], 0),
            np.append(np.ones(7), 0),
        ),
    ]
    sums = [run(task, part, False)[1][0] for part in parts]
    added = task.metrics(jax.tree.map(lambda a, b: a + b, *sums))
    for name, value in whole.items():
        assert added[name] == pytest.approx(value, rel=1e-6)


def test_accuracy_and_top5_error_against_sorting():
    task = Classification(tuple("0123456789"))
    metrics = task.metrics(run(task, batch_of(LOGITS, LABELS), False)[1][0])
    ranks = (-LOGITS).argsort(axis=1).argsort(axis=1)[np.arange(20), LABELS]
    assert metrics["accuracy"] == pytest.approx((ranks == 0).mean())
    assert metrics["top5_error"] == pytest.approx((ranks >= 5).mean())


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_an_example_without_finite_logits_is_wrong(bad):
    logits = np.zeros((1, 10))
    logits[0, 3] = bad
    sums = sums_of(logits, [3])
    assert float(sums["top1"]) == float(sums["top5"]) == 0


def test_an_infinite_loss_of_weight_zero_does_not_count():
    logits = np.zeros((2, 10))
    logits[1, 0] = -np.inf
    assert not np.isfinite(float(sums_of(logits, [0, 0])["loss"]))
    sums = sums_of(logits, [0, 0], np.array([1.0, 0.0]))
    assert float(sums["loss"]) == pytest.approx(np.log(10))
    assert float(sums["weight"]) == 1


def test_fewer_than_five_classes_have_no_top5_error():
    logits = RNG.normal(size=(6, 3))
    sums = sums_of(logits, [0, 1, 2, 0, 1, 2], classes=3)
    metrics = Classification(("a", "b", "c")).metrics(sums)
    assert metrics["top5_error"] == 0


@pytest.mark.parametrize("name", ["softmax", "hinge", "sigmoid", "squared"])
def test_targets_of_one_label_give_what_the_labels_give(name):
    task = Classification(tuple("0123456789"), name)
    batch = batch_of(LOGITS, LABELS)
    soft = batch | {"target": jnp.asarray(np.eye(10)[LABELS], jnp.float32)}
    plain, (sums, _) = run(task, batch, True)
    mixed, (mixed_sums, _) = run(task, soft, True)
    assert float(plain) == pytest.approx(float(mixed), rel=1e-6)
    assert float(sums["top1"]) == float(mixed_sums["top1"])


def test_smoothing_belongs_to_softmax():
    with pytest.raises(ValueError, match=r"label_smoothing: 0\.1 was given with the loss hinge"):
        Classification(("a", "b"), "hinge", label_smoothing=0.1)


def test_shares_of_parts_add_up_to_the_loss_of_the_whole_batch():
    task = Classification(tuple("0123456789"))
    whole = batch_of(LOGITS, LABELS)
    variables = {"params": {}, "batch_stats": {"count": jnp.float32(0)}}
    shares = [
        task.loss(
            Scores(),
            variables,
            {name: values[part] for name, values in whole.items()},
            moment(task, whole, True),
        )[0]
        for part in (slice(0, 13), slice(13, 20))
    ]
    assert sum(map(float, shares)) == pytest.approx(float(run(task, whole, True)[0]), rel=1e-6)


def test_a_loss_of_ones_own_takes_logits_and_targets():
    def absolute(logits, targets):
        return jnp.abs(logits - targets).sum(axis=-1)

    task = Classification(tuple("0123456789"), loss_function=absolute)
    expected = np.abs(LOGITS - np.eye(10)[LABELS]).sum(axis=1).mean()
    assert float(run(task, batch_of(LOGITS, LABELS), True)[0]) == pytest.approx(expected, rel=1e-6)
    assert task.loss_unit == "" and Classification(("a",)).loss_unit == "nats"


class WithMargin(Classification):
    def example_metrics(self, outputs, batch):
        ordered = jnp.sort(outputs.logits, axis=-1)
        margin = ordered[:, -1] - ordered[:, -2]
        return {**super().example_metrics(outputs, batch), "margin": margin}


def test_further_numbers_of_each_example_become_metrics_and_lines():
    task = WithMargin(tuple("0123456789"))
    metrics = task.metrics(run(task, batch_of(LOGITS, LABELS), False)[1][0])
    ordered = np.sort(LOGITS, axis=1)
    expected = (ordered[:, -1] - ordered[:, -2]).mean()
    assert list(metrics) == ["loss", "accuracy", "top5_error", "margin"]
    assert metrics["margin"] == pytest.approx(expected, rel=1e-5)
    lines = dict(task.lines("test", metrics))
    assert lines["test accuracy"] == f"{metrics['accuracy']:.2%}"
    assert lines["loss"] == f"{metrics['loss']:.4f} nats"
    assert float(lines["margin"]) == pytest.approx(expected, rel=1e-5)


SPEC = {
    "image": PartSpec((8, 8, 1), np.dtype(np.uint8), "image"),
    "label": PartSpec((), np.dtype(np.int32), "label"),
}


def test_a_network_or_examples_that_it_cannot_use_are_refused():
    task = Classification(("a", "b", "c"))
    assert task.outputs(SPEC) == 3
    task.check(SPEC, jax.ShapeDtypeStruct((2, 3), jnp.float32))
    with pytest.raises(ValueError, match=r"logits \[batch, 3\], but the network gives \(2, 4\)"):
        task.check(SPEC, jax.ShapeDtypeStruct((2, 4), jnp.float32))
    with pytest.raises(ValueError, match=r"the network gives tuple"):
        task.check(SPEC, (jax.ShapeDtypeStruct((2, 3), jnp.float32),))
    with pytest.raises(ValueError, match="needs the parts image and label; these examples have"):
        task.check({"image": SPEC["image"]}, jax.ShapeDtypeStruct((2, 3), jnp.float32))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loss_function": "softmx"}, "known: softmax, hinge, sigmoid, squared"),
        ({"label_smoothing": 1.0}, "give 0 or more, below 1"),
        ({"auxiliary_weight": -0.1}, "give 0 or more"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Classification(("a", "b"), **settings)
