"""Several sets as one, and labels that are replaced."""

import numpy as np
import pytest

from cnnjax import data

IMAGES = np.arange(5 * 4, dtype=np.uint8).reshape(5, 2, 2, 1)
LABELS = np.array([2, 0, 1, 1, 2])
FIRST = data.from_arrays(image=IMAGES[:2], label=LABELS[:2])
SECOND = data.from_arrays(image=IMAGES[2:], label=LABELS[2:])


def test_joined_sets_follow_each_other():
    joined = data.JoinedExamples((FIRST, SECOND))
    assert len(joined) == 5
    assert joined.spec == FIRST.spec
    for position in range(5):
        np.testing.assert_array_equal(joined.read(position)["image"], IMAGES[position])
    assert joined.column("label").tolist() == LABELS.tolist()
    assert joined.name(2) == SECOND.name(0)
    assert joined.identity() != data.JoinedExamples((SECOND, FIRST)).identity()


@pytest.mark.parametrize("sets", [(), (FIRST, data.from_arrays(image=IMAGES))])
def test_sets_that_do_not_have_one_form_are_refused(sets):
    with pytest.raises(data.DataError, match=r"sets of one form can be joined, got \["):
        data.JoinedExamples(sets)


def test_labels_are_replaced():
    replaced = data.RelabeledExamples(FIRST, [10, 11, 12])
    assert replaced.column("label").tolist() == [12, 10]
    assert replaced.read(1)["label"] == 10
    np.testing.assert_array_equal(replaced.column("image"), FIRST.column("image"))
    assert replaced.identity() != data.RelabeledExamples(FIRST, [10, 11, 13]).identity()
