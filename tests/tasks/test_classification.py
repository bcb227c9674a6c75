import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_softmax

from cnnjax.data.examples import PartSpec
from cnnjax.models.net import Net
from cnnjax.tasks import Classification
from cnnjax.tasks.base import Moment
from cnnjax.tasks.classification import Heads
from cnnjax.tasks.sections import Evaluated

RNG = np.random.default_rng(0)


class Scores(linen.Module):
    """A network whose logits are its input, with one running statistic."""

    @linen.compact
    def __call__(self, x, train=False):
        count = self.variable("batch_stats", "count", lambda: jnp.float32(0))
        if train:
            count.value = count.value + 1
        return x


def batch_of(logits, labels, weight=None):
    weight = np.ones(len(labels)) if weight is None else weight
    return {
        "image": jnp.asarray(logits, jnp.float32),
        "label": jnp.asarray(labels, jnp.int32),
        "weight": jnp.asarray(weight, jnp.float32),
    }


def run(task, batch, train):
    variables = {"params": {}, "batch_stats": {"count": jnp.float32(0)}}
    return task.loss(Scores(), variables, batch, moment(task, batch, train))


def moment(task, batch, train):
    return Moment(jax.random.key(0), train, totals=task.totals(batch))


def sums_of(logits, labels, weight=None, classes=10):
    """The sums of an evaluated batch."""
    task = Classification(tuple(map(str, range(classes))))
    batch = batch_of(logits, labels, weight)
    variables = {"params": {}, "batch_stats": {"count": jnp.float32(0)}}
    sums, rows = task.evaluate(Scores(), variables, batch, moment(task, batch, False))
    assert rows == {}
    return sums


LOGITS = RNG.normal(size=(20, 10)) * 3
LABELS = RNG.integers(0, 10, 20)


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


def test_pictures_show_the_surest_mistake_first():
    images = np.arange(3, dtype=np.uint8).reshape(3, 1, 1, 1)
    predictions = np.log(np.array([[0.6, 0.4], [0.1, 0.9], [0.2, 0.8]], np.float32))
    evaluated = Evaluated(
        predictions, {"label": np.array([1, 0, 1])}, images, np.arange(3), split="test"
    )
    pictures = Classification(("a", "b")).pictures(evaluated)
    np.testing.assert_array_equal(pictures.ravel(), [1, 0])


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


class TwoHeads(Net):
    """Logits, twice them and minus them."""

    @linen.compact
    def __call__(self, x, train=False):
        x = x.reshape(len(x), -1)
        if self.wants_auxiliary("aux1"):
            self.feature("aux1", linen.Dense(10, kernel_init=scaled(2.0), name="aux1")(x))
        return linen.Dense(10, kernel_init=scaled(1.0), name="classifier")(x)


def scaled(factor):
    return lambda key, shape, dtype: factor * jnp.eye(*shape, dtype=dtype)


def test_auxiliary_heads_add_their_weighted_losses_in_training_alone():
    batch = batch_of(LOGITS[:, None, None], LABELS)
    model = TwoHeads(num_classes=10)
    variables = model.init(jax.random.key(0), batch["image"])
    task = Classification(tuple("0123456789"), auxiliary_weight=0.3)

    def nll(logits):
        return -log_softmax(logits, axis=1)[np.arange(20), LABELS].mean()

    trained, (sums, _) = task.loss(model, variables, batch, moment(task, batch, True))
    evaluated, _ = task.loss(model, variables, batch, moment(task, batch, False))
    assert float(trained) == pytest.approx(nll(LOGITS) + 0.3 * nll(2 * LOGITS), rel=1e-6)
    assert float(evaluated) == pytest.approx(nll(LOGITS), rel=1e-6)
    assert float(sums["top1"]) == (LOGITS.argmax(axis=1) == LABELS).sum()


def test_a_weight_of_heads_that_do_not_exist_is_refused():
    task = Classification(tuple("0123456789"), auxiliary_weight=0.3)
    with pytest.raises(ValueError, match="Scores has no auxiliary heads; set it to 0"):
        run(task, batch_of(LOGITS, LABELS), True)


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
