"""Orders against what they promise, counted here with NumPy alone."""

import collections

import jax
import numpy as np
import pytest

from cnnjax import data
from cnnjax.data.orders import BalancedOrder, EpisodeOrder, FunctionOrder, ShuffledOrder

KEY = jax.random.key(3)
# Unequal classes, and one label that does not occur.
LABELS = np.random.default_rng(0).permutation(np.repeat([0, 1, 2, 4], [40, 25, 9, 3]))


def steps_of(order, count, first=0):
    return np.stack([data.positions_at(order, step) for step in range(first, first + count)])


def own(seed, step):
    return np.random.default_rng([seed, step]).integers(0, 77, 8)


ORDERS = {
    "shuffled": lambda key: ShuffledOrder(key, 77, 8),
    "wrapped": lambda key: ShuffledOrder(key, 5, 8, wrap=True),
    "balanced": lambda key: BalancedOrder(key, LABELS, 8),
    "episodes": lambda key: EpisodeOrder(key, LABELS, 2, 1, 2),
    "own": lambda key: FunctionOrder(own, key, 77, 8),
}


@pytest.mark.parametrize("name", ORDERS)
def test_an_order_is_a_function_of_key_and_step(name):
    whole = ORDERS[name](KEY)
    expected = steps_of(whole, 200)
    assert expected.dtype == np.int32
    assert expected.shape == (200, whole.batch_size)
    # From any step on, by a new order.
    np.testing.assert_array_equal(steps_of(ORDERS[name](KEY), 30, first=150), expected[150:180])
    other = steps_of(ORDERS[name](jax.random.key(4)), 200)
    assert not np.array_equal(other, expected)
    assert not np.array_equal(expected[:100], expected[100:])


def test_an_epoch_is_the_permutation_cut_into_batches():
    order = ShuffledOrder(KEY, 77, 8)
    assert order.block_steps == 9
    assert not order.repeats
    for epoch in range(3):
        expected = np.asarray(data.epoch_order(KEY, epoch, 77))[:72].reshape(9, 8)
        np.testing.assert_array_equal(order.block(epoch), expected)


def test_every_example_comes_once_an_epoch():
    order = ShuffledOrder(KEY, 64, 8)
    assert sorted(order.block(5).reshape(-1)) == list(range(64))


@pytest.mark.parametrize(("size", "batch"), [(5, 8), (40, 64), (77, 8), (64, 8), (1, 4), (700, 3)])
def test_wrapped_orders_take_each_example_equally_often(size, batch):
    order = ShuffledOrder(KEY, size, batch, wrap=True)
    flat = steps_of(order, 3 * order.block_steps).reshape(-1)
    whole = len(flat) // size
    rounds = flat[: whole * size].reshape(whole, size)
    np.testing.assert_array_equal(np.sort(rounds, axis=1), np.tile(np.arange(size), (whole, 1)))
    assert len(set(flat[whole * size :])) == len(flat) - whole * size
    expected = np.asarray(data.epoch_order(KEY, 1, size))
    np.testing.assert_array_equal(rounds[1], expected)


def test_a_set_smaller_than_a_batch_is_refused_where_it_sets_the_epoch():
    with pytest.raises(ValueError, match=r"batch_size: 8 does not fit the 5 training examples"):
        ShuffledOrder(KEY, 5, 8)


@pytest.mark.parametrize("batch", [3, 4, 8, 10, 77])
def test_balanced_batches_hold_all_classes_equally(batch):
    order = BalancedOrder(KEY, LABELS, batch)
    steps = steps_of(order, 150)
    classes = np.array([0, 1, 2, 4])
    counts = (LABELS[steps][..., None] == classes).sum(axis=1)
    assert (counts.max(axis=1) - counts.min(axis=1)).max() <= 1
    so_far = np.cumsum(counts, axis=0)
    assert (so_far.max(axis=1) - so_far.min(axis=1)).max() <= 1
    # Within a class, each example comes once before any comes again.
    flat = steps.reshape(-1)
    for label in classes:
        members = np.flatnonzero(label == LABELS)
        times = collections.Counter(flat[LABELS[flat] == label].tolist())
        drawn = [times[member] for member in members.tolist()]
        # Rows are mixed within a step, which does not change what a step holds.
        assert max(drawn) - min(drawn) <= 1


def test_balanced_batches_mix_the_classes():
    steps = LABELS[steps_of(BalancedOrder(KEY, LABELS, 8), 100)]
    assert {tuple(np.unique(steps[:, row])) for row in range(8)} == {(0, 1, 2, 4)}


def test_a_class_is_shuffled_again_each_time():
    order = BalancedOrder(KEY, np.repeat([0, 1], 6), 2)
    flat = steps_of(order, 60).reshape(-1)
    rounds = flat[flat < 6].reshape(10, 6)
    assert (np.sort(rounds, axis=1) == np.arange(6)).all()
    assert len({tuple(one) for one in rounds.tolist()}) > 5


@pytest.mark.parametrize(("ways", "shots", "queries"), [(3, 2, 5), (2, 1, 1), (4, 1, 2)])
def test_episodes_have_distinct_classes_and_examples(ways, shots, queries):
    order = EpisodeOrder(KEY, LABELS, ways, shots, queries) if ways == 4 else None
    labels = LABELS[LABELS != 4] if order is None else LABELS
    order = order or EpisodeOrder(KEY, labels, ways, shots, queries)
    seen = set()
    for episode in steps_of(order, 100):
        assert len(set(episode.tolist())) == ways * (shots + queries)
        support = labels[episode[: ways * shots]].reshape(ways, shots)
        rest = labels[episode[ways * shots :]].reshape(ways, queries)
        classes = support[:, 0]
        assert len(set(classes.tolist())) == ways
        assert (support == classes[:, None]).all()
        assert (rest == classes[:, None]).all()
        seen |= set(classes.tolist())
    assert seen == set(labels.tolist())


def test_classes_with_too_few_examples_are_named():
    names = ("ants", "bees", "cats", "dogs", "emus")
    with pytest.raises(ValueError, match=r"need 10 examples .* few in cats \(9\), emus \(3\)"):
        EpisodeOrder(KEY, LABELS, 2, 5, 5, names)
    with pytest.raises(ValueError, match=r"few in 4 \(3\): request fewer"):
        EpisodeOrder(KEY, LABELS, 2, 2, 2)
    with pytest.raises(ValueError, match=r"ways: 5 classes were requested, but there are 4"):
        EpisodeOrder(KEY, LABELS, 5, 1, 1)


@pytest.mark.parametrize(
    ("positions", "message"),
    [
        (np.arange(7), r"returned int64 \(7,\) for step 2; .*whole numbers \[8\]"),
        (np.arange(8) * 1.0, r"returned float64 \(8,\) for step 2"),
        (np.arange(8) - 1, r"returned positions -1 to 6 for step 2; there are examples 0 to 9"),
        (np.arange(8) + 5, r"returned positions 5 to 12 for step 2"),
    ],
)
def test_wrong_positions_of_a_function_are_refused(positions, message):
    def broken(seed, step):
        return positions

    order = FunctionOrder(broken, KEY, 10, 8)
    with pytest.raises(ValueError, match=r"order: .*broken " + message):
        order.block(2)


def test_a_function_gets_the_seed_and_the_step():
    order = FunctionOrder(lambda seed, step: np.array([seed, step]), jax.random.key(7), 100, 2)
    assert order.block(5).tolist() == [[7, 5]]
