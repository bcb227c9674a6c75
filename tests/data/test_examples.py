import json
import pickle

import numpy as np
import pytest

from cnnjax import data
from cnnjax.data.blank import FILL

IMAGES = np.random.default_rng(0).integers(0, 256, (10, 6, 5, 3)).astype(np.uint8)
LABELS = np.arange(10) % 3


def assert_parts(found, expected):
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)


class Squares(data.Examples):
    """Examples of a user, whose values are computed on demand."""

    def __init__(self):
        self.spec = {"value": data.PartSpec((2,), np.dtype(np.float32), "value")}

    def __len__(self):
        return 600

    def read(self, position, generator=None):
        return {"value": np.array([position, position**2], np.float32)}

    def identity(self):
        return {"set": "squares"}


def test_arrays_have_a_length_a_form_and_named_parts():
    examples = data.from_arrays(image=IMAGES, label=LABELS)
    assert len(examples) == 10
    assert examples.spec == {
        "image": data.PartSpec((6, 5, 3), np.dtype(np.uint8), "image"),
        "label": data.PartSpec((), np.dtype(np.int32), "label"),
    }
    assert_parts(examples.take([3, 1]), {"image": IMAGES[[3, 1]], "label": LABELS[[3, 1]]})
    assert_parts(examples.read(4), {"image": IMAGES[4], "label": LABELS[4]})
    assert examples.arrays is not None
    assert examples.arrays["image"] is IMAGES


@pytest.mark.parametrize(
    "make", [lambda: data.from_arrays(image=IMAGES, label=LABELS), Squares, lambda: digits_like()]
)
def test_columns_and_choices_agree_with_single_reads(make):
    examples = make()
    positions = [7, 2, 9]
    chosen = data.choose(examples, positions)
    assert len(chosen) == 3
    assert chosen.spec == examples.spec
    for name in examples.spec:
        column = examples.column(name)
        assert len(column) == len(examples)
        np.testing.assert_array_equal(column[8], examples.read(8)[name])
        np.testing.assert_array_equal(chosen.column(name), column[positions])
        np.testing.assert_array_equal(chosen.take([2, 0])[name], column[[9, 7]])
        np.testing.assert_array_equal(chosen.read(1)[name], column[2])
        np.testing.assert_array_equal(data.choose(chosen, [1]).column(name), column[positions[1:2]])


def digits_like():
    class Pairs:
        def __len__(self):
            return len(IMAGES)

        def __getitem__(self, position):
            return IMAGES[position], LABELS[position]

    return data.from_source(Pairs())


def test_a_column_of_many_examples_is_read_in_blocks():
    found = Squares().column("value")
    np.testing.assert_array_equal(found, np.stack([np.arange(600), np.arange(600) ** 2], axis=1))


def test_an_unknown_part_is_named():
    with pytest.raises(data.DataError, match=r"part: 'labels' is unknown; the parts are value"):
        Squares().column("labels")


def test_the_identity_of_arrays_depends_on_their_content():
    def identity(**parts):
        found = data.from_arrays(**parts).identity()
        json.dumps(found)
        return found

    first = identity(image=IMAGES, label=LABELS)
    assert identity(label=LABELS.copy(), image=IMAGES.copy()) == first
    changed = IMAGES.copy()
    changed[9, 5, 4, 2] ^= 1
    assert identity(image=changed, label=LABELS) != first
    assert identity(image=IMAGES, label=LABELS[::-1]) != first
    assert identity(image=IMAGES, label=LABELS, kinds={"label": "value"}) != first
    assert identity(image=IMAGES.transpose(0, 2, 1, 3), label=LABELS) != first


def test_the_digest_is_over_all_blocks_of_an_array(monkeypatch):
    from cnnjax.data import array_examples

    whole = data.from_arrays(image=IMAGES).identity()
    monkeypatch.setattr(array_examples, "_BLOCK_BYTES", 100)
    assert data.from_arrays(image=IMAGES).identity() == whole
    changed = IMAGES.copy()
    changed[9] ^= 1
    assert data.from_arrays(image=changed).identity() != whole


def test_a_choice_has_an_identity_of_its_own():
    identities = [
        data.choose(examples, positions).identity()
        for examples in (data.from_arrays(image=IMAGES), Squares())
        for positions in ([0, 1], [1, 0])
    ]
    assert len({json.dumps(identity) for identity in identities}) == 4
    # The identity of a set with a name contains the name and a digest of the positions.
    assert identities[2]["set"] == "squares"
    assert data.choose(Squares(), [1, 0]).identity() == identities[3]


@pytest.mark.parametrize(
    ("positions", "message"),
    [
        ([], r"positions: .* was given; give a list of whole numbers"),
        ([0.0, 1.0], r"positions: float64 .* give a list of whole numbers"),
        ([True, False], r"positions: bool .*np.flatnonzero\(mask\)"),
        ([0, 10], r"positions: 0 to 10 was given; there are examples 0 to 9"),
        ([-1], r"positions: -1 to -1 was given; there are examples 0 to 9"),
    ],
)
def test_wrong_positions_are_refused(positions, message):
    with pytest.raises(data.DataError, match=message):
        data.choose(data.from_arrays(image=IMAGES), positions)


def test_lazy_images_are_indexed_as_arrays_are():
    examples = digits_like()
    images = data.lazy_images(examples)
    assert (images.shape, images.dtype, len(images), images.ndim) == (IMAGES.shape, np.uint8, 10, 4)
    for which in (3, -1, slice(2, 8, 3), [4, 1], LABELS == 1, np.array([[1, 2], [3, 4]])):
        np.testing.assert_array_equal(images[which], IMAGES[which])
    arrays = data.from_arrays(image=IMAGES)
    assert data.lazy_images(arrays) is arrays.column("image")


def test_an_image_that_cannot_be_read_is_gray():
    class Damaged(Squares):
        def __init__(self):
            self.spec = {"photo": data.PartSpec((2, 2, 1), np.dtype(np.uint8), "image")}

        def read(self, position, generator=None):
            if position == 1:
                raise data.DamagedImage("torn")
            return {"photo": np.zeros((2, 2, 1), np.uint8)}

    assert data.lazy_images(Damaged())[:3].reshape(3, 4).tolist() == [[0] * 4, [FILL] * 4, [0] * 4]


def test_examples_without_images_have_no_lazy_ones():
    with pytest.raises(data.DataError, match=r"the examples have none; their parts are value"):
        data.lazy_images(Squares())


def test_examples_travel_to_other_processes():
    for examples in (data.from_arrays(image=IMAGES), data.choose(Squares(), [3])):
        again = pickle.loads(pickle.dumps(examples))
        assert again.identity() == examples.identity()
        assert_parts(again.read(0), examples.read(0))


def test_what_is_kept_on_the_device():
    arrays = data.from_arrays(image=IMAGES)
    assert data.kept_on_device(arrays)
    assert not data.kept_on_device(arrays, "never")
    assert not data.kept_on_device(Squares())
    with pytest.raises(data.DataError, match=r"resident: the examples are read on demand"):
        data.kept_on_device(Squares(), "always")
