"""Few examples for many steps, and balanced draws of labels."""

import numpy as np
import pytest

from cnnjax import data, transfer

LABELS = np.random.default_rng(0).permutation(np.repeat(np.arange(4), [10, 20, 5, 15]))


@pytest.mark.parametrize("count", [4, 7, 20, 50])
def test_classes_come_equally_often_as_far_as_they_go(count):
    chosen = transfer.balanced_positions(LABELS, count, seed=3)
    assert len(set(chosen.tolist())) == count
    counts = np.bincount(LABELS[chosen], minlength=4)
    sizes = np.bincount(LABELS)
    full = counts == sizes
    if not full.all():
        assert counts[~full].max() - counts[~full].min() <= 1
        assert (counts[full] <= counts[~full].max()).all()


def test_more_labels_hold_the_fewer_ones_and_seeds_differ():
    few, more = (set(transfer.balanced_positions(LABELS, n, seed=1).tolist()) for n in (8, 21))
    assert few < more
    assert few != set(transfer.balanced_positions(LABELS, 8, seed=2).tolist())


@pytest.mark.parametrize("count", [3, 51])
def test_more_labels_than_there_are_or_a_class_without_one_are_refused(count):
    with pytest.raises(ValueError, match=rf"labels: {count} were requested of 50 examples of 4"):
        transfer.balanced_positions(LABELS, count)


@pytest.mark.parametrize(("size", "count"), [(3, 7), (5, 5), (9, 4)])
def test_examples_come_equally_often(size, count):
    examples = data.from_arrays(label=np.arange(size))
    times = np.bincount(transfer.repeat_examples(examples, count).column("label"), minlength=size)
    assert times.sum() == count and times.max() - times.min() <= 1


@pytest.mark.parametrize("count", [0, True, 2.0])
def test_a_count_that_is_none_is_refused(count):
    with pytest.raises(ValueError, match=r"count: .* was given; give a whole number"):
        transfer.repeat_examples(data.from_arrays(label=np.arange(3)), count)
