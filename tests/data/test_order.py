import jax
import numpy as np
import pytest

from cnnjax import data


def test_an_epoch_takes_every_example_once():
    order = data.epoch_order(jax.random.key(3), 5, 100)
    assert sorted(np.asarray(order)) == list(range(100))


def test_order_depends_on_key_and_epoch_alone():
    first = data.epoch_order(jax.random.key(3), 5, 100)
    np.testing.assert_array_equal(first, data.epoch_order(jax.random.key(3), 5, 100))
    assert not np.array_equal(first, data.epoch_order(jax.random.key(3), 6, 100))
    assert not np.array_equal(first, data.epoch_order(jax.random.key(4), 5, 100))


@pytest.mark.parametrize("batch_size", [1, 7, 50, 100, 128])
def test_evaluation_counts_every_example_once(batch_size):
    counts = np.zeros(100)
    for positions, weights in data.evaluation_batches(100, batch_size):
        assert positions.shape == weights.shape == (batch_size,)
        np.add.at(counts, positions, weights)
    assert (counts == 1).all()


def test_a_batch_larger_than_the_split_is_refused():
    with pytest.raises(ValueError, match=r"batch_size: 11 does not fit the 10 training examples"):
        data.steps_per_epoch(10, 11)


def test_steps_per_epoch_counts_full_batches():
    assert data.steps_per_epoch(1437, 128) == 11


@pytest.mark.parametrize("batch_size", [0, -3, 2.5, True, "4", None, float("nan")])
def test_a_batch_size_of_an_evaluation_that_is_none_is_refused(batch_size):
    message = rf"batch_size: {batch_size!r} was given; give a whole number from 1 on"
    with pytest.raises(ValueError, match=message):
        data.evaluation_batches(10, batch_size)
    with pytest.raises(ValueError, match=message):
        data.EvaluationOrder(10, batch_size)
