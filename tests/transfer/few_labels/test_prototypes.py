"""The loss of an episode against its definition, and what is no episode."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from cnnjax import data, tasks, training
from cnnjax.training.check import check_run
from cnnjax.transfer.few_labels import PrototypicalNets, score_episodes
from cnnjax.transfer.few_labels import episode_losses as losses_of
from tests.transfer.few_labels.linear_net import LinearNet

FORM = data.Episodes(ways=3, shots=2, queries=4)
episode_losses = jax.jit(losses_of, static_argnums=3)
LABELS = np.concatenate([np.repeat([7, 2, 4], 2), np.repeat([7, 2, 4], 4)])


def defined(rows, weight):
    """Returns losses and hits of the queries that count, with loops in float64."""
    rows = np.asarray(rows, np.float64)
    kept = np.flatnonzero(weight)
    means = {c: rows[[i for i in kept if i < 6 and LABELS[i] == c]].mean(axis=0) for c in (7, 2, 4)}
    losses, hits = [], []
    for i in kept[kept >= 6]:
        distances = {c: float(((rows[i] - mean) ** 2).sum()) for c, mean in means.items()}
        total = sum(np.exp(-d) for d in distances.values())
        losses.append(-np.log(np.exp(-distances[int(LABELS[i])]) / total))
        hits.append(min(distances, key=lambda c: distances[c]) == LABELS[i])
    return losses, hits


def drawn(seed=0):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(18, 3)) + LABELS[:, None] / 3).astype(np.float32)


@pytest.mark.parametrize("left_out", [(), (0, 7, 9)])
def test_losses_are_minus_log_softmax_of_minus_squared_distances(left_out):
    rows, weight = drawn(), np.ones(18, np.float32)
    weight[list(left_out)] = 0
    expected, hit = defined(rows, weight)
    spoiled = np.where(weight[:, None] > 0, rows, 50)
    losses, hits, counted = episode_losses(*map(jnp.asarray, (spoiled, LABELS, weight)), FORM)
    assert np.asarray(counted).tolist() == (weight[6:] > 0).tolist()
    np.testing.assert_allclose(np.asarray(losses)[counted], expected, rtol=1e-5, atol=1e-6)
    assert np.asarray(hits)[counted].astype(bool).tolist() == hit
    assert 0 < np.mean(hit) < 1


def test_a_class_without_support_is_no_answer():
    rows, weight = drawn(), np.ones(18, np.float32)
    weight[2:4] = 0
    losses, _, counted = episode_losses(*map(jnp.asarray, (rows, LABELS, weight)), FORM)
    assert np.asarray(counted).tolist() == [True] * 4 + [False] * 4 + [True] * 4
    assert np.isfinite(np.asarray(losses)[counted]).all()


def test_rows_in_another_order_have_no_loss():
    rows, weight = map(jnp.asarray, (drawn(), np.ones(18, np.float32)))
    mixed = np.roll(LABELS, 1)
    assert np.isnan(episode_losses(rows, jnp.asarray(mixed), weight, FORM)[0]).all()
    assert np.isfinite(episode_losses(rows, jnp.asarray(LABELS), weight, FORM)[0]).all()


def examples(classes=4, each=8):
    labels = np.arange(classes * each) % classes
    images = np.random.default_rng(0).uniform(size=(len(labels), 3, 3, 1)).astype(np.float32)
    return data.from_arrays(image=images, label=labels)


def run(task=None, **changes):
    stream = data.Stream(examples(), FORM.batch_size, order=FORM)
    made = training.Run(
        model=LinearNet(), task=task or PrototypicalNets(FORM), train=stream, optimizer=optax.sgd(1)
    )
    return made.replace(**changes)


def test_evaluation_draws_episodes_of_all_embeddings():
    task = PrototypicalNets(FORM, data.Episodes(4, 1, 2), episodes=30, episode_seed=5)
    rows = np.random.default_rng(0).normal(size=(32, 2)).astype(np.float32)
    labels = np.arange(32) % 4
    found = task.metrics({"weight": 32.0}, {"embedding": rows, "label": labels})
    score = score_episodes(rows, labels, data.Episodes(4, 1, 2), 30, seed=5)
    assert found == {
        "loss": score.loss,
        "accuracy": score.accuracy,
        "accuracy_half": score.half,
    }
    name, text = task.lines("test", found)[0]
    assert name == "test accuracy, 4-way 1-shot"
    assert text == f"{score.accuracy:.2%} ± {score.half:.2%}"


def test_a_run_that_is_no_episode_is_refused_before_any_work():
    check_run(run())
    with pytest.raises(training.ConfigError, match="18 examples, and a batch has 12; give data"):
        check_run(run(train=data.Stream(examples(), 12)))
    with pytest.raises(training.ConfigError, match="set accumulate to 1, and spread"):
        check_run(run(accumulate=2))
    with pytest.raises(training.ConfigError, match="episodes need the parts image and label"):
        check_run(run(train=data.Stream(data.from_arrays(image=np.zeros((20, 3, 3, 1))), 18)))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"train_form": 5}, "task.train_form: 5 was given; give data.Episodes"),
        ({"test_form": (1, 2, 3)}, r"task.test_form: \(1, 2, 3\) was given"),
        ({"episodes": 1}, "task.episodes: 1 was given; give 2 or more"),
        ({"episodes": "600"}, "task.episodes: '600' was given; give a whole number"),
    ],
)
def test_wrong_settings_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        PrototypicalNets(**{"train_form": FORM, **fields})


@pytest.mark.slow
def test_devices_share_an_episode():
    batch = {
        "image": jnp.asarray(drawn()).reshape(18, 1, 3, 1),
        "label": jnp.asarray(LABELS),
        "weight": jnp.ones(18),
    }
    model, task = LinearNet(), PrototypicalNets(FORM)
    variables = jax.jit(model.init)(jax.random.key(0), batch["image"])

    def loss(variables, batch, axis_name=None):
        moment = tasks.Moment(jax.random.key(0), train=True, axis_name=axis_name)
        value, (sums, _) = task.loss(model, variables, batch, moment)
        return value, sums

    def spread(variables, batch):
        return jax.lax.psum(jax.value_and_grad(loss, has_aux=True)(variables, batch, "d"), "d")

    cut = jax.tree.map(lambda values: values.reshape(2, 9, *values.shape[1:]), batch)
    found = jax.pmap(spread, "d", in_axes=(None, 0), out_axes=None)(variables, cut)
    expected = jax.value_and_grad(loss, has_aux=True)(variables, batch)
    assert float(expected[0][1]["weight"]) == 12
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5), found, expected)
