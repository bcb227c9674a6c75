"""Splits of labels and classes: disjoint, repeatable, and refused where they cannot be."""

import numpy as np
import pytest

from cnnjax import data
from cnnjax.transfer.few_labels import (
    choose_classes,
    hide_labels,
    paired_classes,
    rotated_classes,
    split_classes,
    split_labels,
)

LABELS = np.repeat([0, 1, 2], [5, 9, 6])


def test_labels_are_split_without_an_example_in_both():
    for seed in range(20):
        labeled, unlabeled = split_labels(LABELS, 3, seed)
        assert sorted([*labeled, *unlabeled]) == list(range(len(LABELS)))
        assert np.bincount(LABELS[labeled]).tolist() == [3, 3, 3]


def test_a_seed_chooses_the_same_labels_and_fewer_are_among_more():
    few, more, again = (split_labels(LABELS, count, seed=4).labeled for count in (2, 4, 4))
    np.testing.assert_array_equal(more, again)
    assert set(few) < set(more)
    chosen = {tuple(split_labels(LABELS, 2, seed).labeled) for seed in range(10)}
    assert len(chosen) > 5


@pytest.mark.parametrize(
    ("labels", "count", "message"),
    [
        (LABELS, 6, "per_class: 6 labels of each class were requested, but class 0 has 5 examples"),
        (LABELS, 0, "per_class: 0 was given; give a whole number from 1 on"),
        (LABELS, True, "per_class: True was given"),
        (LABELS, 2.0, "per_class: 2.0 was given"),
        (np.arange(4), 1, "none of the 4 examples is left without a label; request fewer"),
        (np.ones((2, 2), int), 1, r"labels: int64 \(2, 2\) was given; give the class of each"),
        (np.ones(3), 1, "labels: float64"),
        ([], 1, "labels: float64"),
    ],
)
def test_labels_that_there_are_not_are_refused(labels, count, message):
    with pytest.raises(ValueError, match=message):
        split_labels(labels, count)


def test_classes_are_in_one_split_each():
    drawn = set()
    for seed in range(20):
        found = split_classes(range(3, 13), {"base": 5, "validation": 2, "novel": 3}, seed)
        assert [len(classes) for classes in found.values()] == [5, 2, 3]
        assert sorted(sum(found.values(), ())) == list(range(3, 13))
        assert found == split_classes(range(3, 13), {"base": 5, "validation": 2, "novel": 3}, seed)
        drawn.add(found["novel"])
    assert len(drawn) > 10


@pytest.mark.parametrize(
    ("classes", "sizes", "message"),
    [
        (range(10), {"base": 5, "novel": 4}, "of 10: 1 would be in no split; give sizes that add"),
        (range(10), {"base": 6, "novel": 5}, "11 classes of 10: 1 too many"),
        (range(10), {"base": 10, "novel": 0}, "sizes.novel: 0 was given; give a whole number"),
        ([1, 2, 2], {"base": 3}, "give each class once"),
    ],
)
def test_classes_that_do_not_add_up_are_refused(classes, sizes, message):
    with pytest.raises(ValueError, match=message):
        split_classes(classes, sizes)


class Read:
    """A source whose examples are read one by one."""

    def __len__(self):
        return 6

    def __getitem__(self, position):
        return {"image": np.full((2, 2, 1), position, np.uint8), "label": np.int32(position % 3)}


def sources():
    images = np.arange(6, dtype=np.uint8)[:, None, None, None] * np.ones((2, 2, 1), np.uint8)
    in_memory = data.from_arrays(image=images, label=np.arange(6) % 3)
    return {"arrays": in_memory, "read": data.from_source(Read())}


@pytest.mark.parametrize("kind", ["arrays", "read"])
def test_hidden_labels_are_nowhere_in_the_examples(kind):
    whole = sources()[kind]
    hidden = hide_labels(whole)
    assert list(hidden.spec) == list(hidden.take([1, 4])) == list(hidden.read(2)) == ["image"]
    assert hidden.take([1, 4])["image"][:, 0, 0, 0].tolist() == [1, 4]
    assert (hidden.arrays is None) == (kind == "read")
    assert (len(hidden), hidden.name(3)) == (6, whole.name(3))
    assert hidden.identity() != whole.identity()


@pytest.mark.parametrize("kind", ["arrays", "read"])
def test_chosen_classes_are_numbered_from_zero_in_their_order(kind):
    whole = sources()[kind]
    chosen = choose_classes(whole, (2, 0))
    assert chosen.column("label").tolist() == [1, 0, 1, 0]
    assert chosen.column("image")[:, 0, 0, 0].tolist() == [0, 2, 3, 5]
    assert chosen.identity() != choose_classes(whole, (0, 2)).identity()


def test_classes_without_examples_are_refused():
    examples = sources()["arrays"]
    with pytest.raises(ValueError, match=r"class 7 has no example; .* classes \[0, 1, 2\]"):
        choose_classes(examples, (0, 7))
    for classes in ((), (1, 1)):
        with pytest.raises(ValueError, match="give each class once, and one at least"):
            choose_classes(examples, classes)


def test_examples_without_images_are_refused():
    with pytest.raises(ValueError, match="they have no images; their parts are label"):
        hide_labels(data.from_arrays(label=np.arange(3)))


def test_quarter_turns_are_classes_of_their_own():
    images = np.random.default_rng(0).integers(0, 256, (4, 3, 3, 1), dtype=np.uint8)
    examples = data.from_arrays(image=images, label=[0, 1, 1, 0])
    turned = rotated_classes(examples, 2)
    assert turned.column("label").tolist() == [0, 1, 1, 0, 2, 3, 3, 2, 4, 5, 5, 4, 6, 7, 7, 6]
    for turns in range(4):
        for position in range(4):
            found = turned.take([4 * turns + position])["image"][0, ..., 0]
            # A quarter turn counter-clockwise brings the last column to the first row.
            expected = images[position, ..., 0]
            for _ in range(turns):
                expected = expected.T[::-1]
            np.testing.assert_array_equal(found, expected)


def test_what_cannot_be_turned_is_refused():
    wide = data.from_arrays(image=np.zeros((2, 2, 3, 1), np.uint8), label=[0, 1])
    with pytest.raises(ValueError, match="images of 2x3 were given; give square ones"):
        rotated_classes(wide, 2)
    with pytest.raises(ValueError, match="1 was given, but there is label 2; give 3 or more"):
        rotated_classes(sources()["arrays"], 1)
    read = rotated_classes(sources()["read"], 3)
    assert read.arrays is None and read.read(22)["label"] == 9 + 22 % 6 % 3


def test_pairs_are_of_the_class_that_both_make():
    images = np.arange(6, dtype=np.uint8)[:, None, None, None] * np.ones((2, 2, 1), np.uint8)
    examples = data.from_arrays(image=images, label=np.arange(6) % 3)
    pairs = paired_classes(examples, 3, each=20, seed=1)
    left, right = pairs.column("image")[:, 0, [0, 3], 0].T.astype(int)
    np.testing.assert_array_equal(pairs.column("label"), left % 3 * 3 + right % 3)
    assert np.bincount(pairs.column("label")).tolist() == [20] * 9
    # Every image is drawn, and independently of its neighbor.
    assert len({*zip(left, right, strict=True)}) == 36
    np.testing.assert_array_equal(
        pairs.column("image"), paired_classes(examples, 3, 20, seed=1).column("image")
    )
    with pytest.raises(ValueError, match="class 3 of 4 has no example"):
        paired_classes(examples, 4, each=1)
    with pytest.raises(ValueError, match="each: 0 was given"):
        paired_classes(examples, 3, each=0)
