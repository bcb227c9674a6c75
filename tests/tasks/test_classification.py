import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_softmax

from cnnjax.models.net import Net
from cnnjax.tasks import Classification
from cnnjax.tasks.classification import metric_sums

RNG = np.random.default_rng(0)


class Scores(nn.Module):
    """A network whose logits are its input, with one running statistic."""

    @nn.compact
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
    return task.loss(Scores(), variables, batch, jax.random.key(0), train)


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
    sums = metric_sums(jnp.asarray(logits, jnp.float32), jnp.zeros(1), batch_of(logits, [3]))
    assert float(sums["top1"]) == float(sums["top5"]) == 0


def test_an_infinite_loss_of_weight_zero_does_not_count():
    losses = jnp.array([1.0, jnp.inf])
    logits = jnp.zeros((2, 10))
    sums = metric_sums(logits, losses, batch_of(logits, [0, 0], np.array([1.0, 0.0])))
    assert float(sums["loss"]) == 1


def test_fewer_than_five_classes_have_no_top5_error():
    logits = jnp.asarray(RNG.normal(size=(6, 3)), jnp.float32)
    batch = batch_of(logits, [0, 1, 2, 0, 1, 2])
    metrics = Classification(("a", "b", "c")).metrics(metric_sums(logits, jnp.zeros(6), batch))
    assert metrics["top5_error"] == 0


def test_pictures_show_the_surest_mistake_first():
    images = np.arange(3, dtype=np.uint8).reshape(3, 1, 1, 1)
    probabilities = np.array([[0.6, 0.4], [0.1, 0.9], [0.2, 0.8]])
    pictures = Classification(("a", "b")).pictures(images, np.array([1, 0, 1]), probabilities)
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

    @nn.compact
    def __call__(self, x, train=False):
        x = x.reshape(len(x), -1)
        if self.wants_auxiliary("aux1"):
            self.feature("aux1", nn.Dense(10, kernel_init=scaled(2.0), name="aux1")(x))
        return nn.Dense(10, kernel_init=scaled(1.0), name="classifier")(x)


def scaled(factor):
    return lambda key, shape, dtype: factor * jnp.eye(*shape, dtype=dtype)


def test_auxiliary_heads_add_their_weighted_losses_in_training_alone():
    batch = batch_of(LOGITS[:, None, None], LABELS)
    model = TwoHeads(num_classes=10)
    variables = model.init(jax.random.key(0), batch["image"])
    task = Classification(tuple("0123456789"), auxiliary_weight=0.3)

    def nll(logits):
        return -log_softmax(logits, axis=1)[np.arange(20), LABELS].mean()

    trained, (sums, _) = task.loss(model, variables, batch, jax.random.key(0), True)
    judged, _ = task.loss(model, variables, batch, jax.random.key(0), False)
    assert float(trained) == pytest.approx(nll(LOGITS) + 0.3 * nll(2 * LOGITS), rel=1e-6)
    assert float(judged) == pytest.approx(nll(LOGITS), rel=1e-6)
    assert float(sums["top1"]) == (LOGITS.argmax(axis=1) == LABELS).sum()


def test_a_weight_of_heads_that_do_not_exist_is_refused():
    task = Classification(tuple("0123456789"), auxiliary_weight=0.3)
    with pytest.raises(ValueError, match="Scores has no auxiliary heads; set it to 0"):
        run(task, batch_of(LOGITS, LABELS), True)
