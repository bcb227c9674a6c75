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


@pytest.mark.parametrize("labels", [[], [0.5, 1.5], [0, -1], [[0, 1]], "ab"])
def test_new_labels_are_numbers_from_0(labels):
    with pytest.raises(data.DataError, match=r"labels: .* a whole number from 0 for each"):
        data.RelabeledExamples(FIRST, labels)


def test_only_labels_are_replaced():
    with pytest.raises(data.DataError, match="'image' is of kind 'image'"):
        data.RelabeledExamples(FIRST, [0], part="image")


@pytest.mark.parametrize("label", [-1, 2, 10])
def test_an_old_label_without_a_new_one_is_named(label):
    old = data.from_arrays(image=IMAGES[:2], label=np.array([0, label], np.int32))
    replaced = data.RelabeledExamples(old, [5, 6])
    assert replaced.read(0)["label"] == 5
    for read in (lambda: replaced.read(1), lambda: replaced.column("label")):
        with pytest.raises(
            data.DataError, match=f"no new label for label {label}, only for 0 to 1"
        ):
            read()


def test_labels_are_replaced():
    replaced = data.RelabeledExamples(FIRST, [10, 11, 12])
    assert replaced.column("label").tolist() == [12, 10]
    assert replaced.read(1)["label"] == 10
    np.testing.assert_array_equal(replaced.column("image"), FIRST.column("image"))
    assert replaced.identity() != data.RelabeledExamples(FIRST, [10, 11, 13]).identity()
