"""Accuracy over few-shot episodes, against plain loops and closed forms."""

import jax
import numpy as np
import pytest

from cnnjax import data
from cnnjax.transfer.few_labels import score_episodes

FORM = data.Episodes(ways=3, shots=2, queries=4)
LABELS = np.repeat(np.arange(5), 12)


def test_embeddings_without_information_are_right_by_chance():
    rows = np.random.default_rng(0).normal(size=(60, 4))
    found = score_episodes(rows, LABELS, FORM, episodes=400)
    assert abs(found.accuracy - 1 / 3) < 0.04
    assert 0.005 < found.half < 0.03


def test_it_is_the_share_of_queries_whose_class_mean_is_nearest():
    # Each class has two examples for support and queries; which is which does not matter here: in
    # class 0 all are at 0, in class 1 at 1, so that only class 2 with its halves can be wrong.
    labels = np.repeat([0, 1, 2], 8)
    rows = np.repeat([0.0, 10.0], [8, 8])
    rows = np.concatenate([rows, np.tile([-3.0, 30.0], 4)])[:, None]
    found = score_episodes(rows, labels, data.Episodes(3, 1, 7), episodes=300)
    # The support of class 2 is at -3 or at 30. At -3, its 3 others there are right, and its 4
    # queries at 30 are nearest to 10. At 30, its 3 others there are right, and its 4 queries at
    # -3 are nearest to 0. All queries of the other classes are right, at either place.
    assert found.accuracy == pytest.approx((7 + 7 + 3) / 21)
    assert found.half < 1e-12


def test_the_loss_is_that_of_training():
    rows = np.random.default_rng(4).normal(size=(9, 3))
    labels = np.repeat([0, 1, 2], 3)
    form = data.Episodes(3, 1, 2)
    found = score_episodes(rows, labels, form, episodes=2, seed=7)
    order = data.EpisodeOrder(jax.random.key(7), labels, 3, 1, 2)
    expected = []
    for positions in (data.positions_at(order, 0), data.positions_at(order, 1)):
        support, queries = positions[:3], positions[3:]
        for query in queries:
            logs = [-np.square(rows[query] - rows[one]).sum() for one in support]
            own = [
                log for log, one in zip(logs, support, strict=True) if labels[one] == labels[query]
            ]
            expected.append(np.log(np.exp(logs).sum()) - own[0])
    assert found.loss == pytest.approx(np.mean(expected))


def test_the_interval_is_students_over_the_episodes():
    rows = np.random.default_rng(1).normal(size=(60, 4)) + LABELS[:, None]
    # Each single episode, from growing numbers of them: the first ones are the same.
    totals = [n * score_episodes(rows, LABELS, FORM, episodes=n).accuracy for n in range(2, 8)]
    two = score_episodes(rows, LABELS, FORM, episodes=2)
    # Of two values, the interval is t(0.975, 1) = tan(0.475 pi) times half their difference.
    difference = 2 * two.half / np.tan(0.475 * np.pi)
    first, second = two.accuracy + difference / 2, two.accuracy - difference / 2
    for value in (first, second, *np.diff(totals)):
        # Each accuracy is a number of 12 queries.
        assert value * 12 == pytest.approx(round(value * 12), abs=1e-9)


def test_a_seed_draws_the_same_episodes_for_all_embeddings():
    rows = np.random.default_rng(2).normal(size=(60, 4)) + LABELS[:, None] / 2
    one, same, other = (score_episodes(rows, LABELS, FORM, 50, seed) for seed in (0, 0, 1))
    assert one == same != other
    # A turn keeps all distances.
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(4, 4)))[0]
    assert score_episodes(rows @ turn, LABELS, FORM, 50).accuracy == pytest.approx(one.accuracy)


def test_embeddings_that_are_no_numbers_are_wrong():
    found = score_episodes(np.full((60, 2), np.nan), LABELS, FORM, episodes=5)
    assert found[:3] == (0, 0, 5)
    assert np.isnan(found.loss)


@pytest.mark.parametrize(
    ("form", "episodes", "message"),
    [
        (FORM, 1, "episodes: 1 was given; give 2 or more"),
        (FORM, 10.0, "episodes: 10.0 was given"),
        (data.Episodes(6, 1, 1), 10, "ways: 6 classes were requested, but there are 5"),
        (data.Episodes(5, 6, 7), 10, "need 13 examples of each class"),
    ],
)
def test_episodes_that_cannot_be_drawn_are_refused(form, episodes, message):
    with pytest.raises(ValueError, match=message):
        score_episodes(np.zeros((60, 2)), LABELS, form, episodes)
