import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import search


class Linear(linen.Module):
    """One dense layer, without batch statistics."""

    @linen.compact
    def __call__(self, x, train=False):
        return linen.Dense(2)(x.reshape(x.shape[0], -1))


def lines(examples, seed):
    """Returns images with a bright row or a bright column, which a dense layer separates."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, examples).astype(np.int32)
    images = random.normal(0, 0.1, (examples, 4, 4, 1)).astype(np.float32)
    images[labels == 0, 1] += 1
    images[labels == 1, :, 1] += 1
    return images, labels


@pytest.mark.slow
def test_each_seed_is_a_network_of_its_own():
    training = search.QuickTraining(epochs=3, batch_size=16, learning_rate=0.05)
    sets = {"seen": lines(64, 0), "unseen": lines(40, 1), "wrong": lines(40, 1)}
    sets["wrong"] = sets["wrong"][0], 1 - sets["wrong"][1]
    together = search.train_quickly(Linear(), lines(64, 0), sets, (0, 1), training)
    alone = [search.train_quickly(Linear(), lines(64, 0), sets, (s,), training) for s in (0, 1)]
    for name, counts in together.items():
        assert counts == [counts_of[name][0] for counts_of in alone]
    assert together["seen"] == [64, 64] and together["unseen"] == [40, 40]
    assert together["wrong"] == [0, 0]


def test_a_rate_of_almost_zero_changes_nothing():
    still = search.QuickTraining(epochs=2, batch_size=16, learning_rate=1e-12)
    counts = search.train_quickly(Linear(), lines(64, 0), {"a": lines(200, 1)}, (3,), still)
    images, labels = lines(200, 1)
    variables = Linear().init(jax.random.key(3), jnp.asarray(images[:1]))
    classes = np.argmax(Linear().apply(variables, jnp.asarray(images)), axis=1)
    assert counts == {"a": [int((classes == labels).sum())]}


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"epochs": 0}, "training.epochs: 0"),
        ({"batch_size": 2.5}, "training.batch_size: 2.5"),
        ({"learning_rate": 0}, "a rate above 0"),
        ({"weight_decay": -1}, "a decay from 0"),
    ],
)
def test_impossible_trainings_are_refused(fields, problem):
    with pytest.raises(search.SearchError, match=problem):
        search.QuickTraining(**fields)
