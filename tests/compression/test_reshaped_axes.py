"""A reshape moves places along axes as NumPy's reshape moves their numbers."""

import numpy as np
import pytest

from cnnjax.compression.axes import ANY, FIXED, Places, filled
from cnnjax.compression.reshaped_axes import reshaped


def spread(axes, value):
    """An array that holds, at each of its places, the number of the one axis that has numbers."""
    found = np.full([len(axis) for axis in axes], value)
    for d, axis in enumerate(axes):
        sides = [len(axis) if e == d else 1 for e in range(len(axes))]
        found = np.where(axis.reshape(sides) >= 0, axis.reshape(sides), found)
    return found


@pytest.mark.parametrize(
    ("shape", "channels", "after"),
    [
        ((2, 3, 4, 5), 3, (2, 60)),
        ((2, 60), 1, (2, 3, 4, 5)),
        ((2, 1, 1, 5), 3, (2, 5)),
        ((5,), 0, (1, 1, 1, 5)),
        ((2, 3, 4, 5), 3, (6, 4, 5)),
        ((4, 2, 3), 0, (4, 6)),
        ((3, 3, 1, 5), 3, (9, 5)),
        ((2, 6, 5, 1), 2, (2, 2, 3, 5)),
    ],
)
def test_channels_stay_at_their_places(shape, channels, after):
    places = Places()
    axes = list(filled(shape, FIXED))
    axes[channels] = places.new(shape[channels])
    before = axes
    if shape == (2, 60):  # flattened rows and columns, the channels last
        numbers = places.new(5)
        axes[1] = np.tile(numbers, 12)
    result = reshaped(places, tuple(axes), after, str)
    assert tuple(len(axis) for axis in result) == after
    np.testing.assert_array_equal(spread(result, -9), spread(before, -9).reshape(after))
    assert not any(places.reason(int(n)) for axis in result for n in axis if n >= 0)


@pytest.mark.parametrize(("shape", "after"), [((2, 6), (2, 3, 2)), ((2, 6, 1), (4, 3))])
def test_channels_that_are_cut_into_groups_are_kept(shape, after):
    places = Places()
    axes = [*filled(shape, FIXED)]
    axes[1] = places.new(6)
    result = reshaped(places, tuple(axes), after, "reshape {}".format)
    assert tuple(len(axis) for axis in result) == after
    assert places.reason(int(places.roots(axes[1])[0])) == "reshape {}".format(
        "cuts the channels into groups"
    )


def test_two_axes_of_channels_cannot_become_one():
    places = Places()
    axes = places.new(3), places.new(4)
    reshaped(places, axes, (12,), str)
    assert places.reason(int(axes[0][0])) == "mixes channels with other channels"


def test_joined_numbers_have_one_root_and_one_reason():
    places = Places()
    first, second, third = (places.new(3) for _ in range(3))
    any_or_fixed = np.array([ANY, FIXED, ANY])
    places.keep(second[:1], "the first")
    met = places.join(first, second, "")
    places.join(third, met, "")
    np.testing.assert_array_equal(places.roots(first), places.roots(third))
    assert [places.reason(int(root)) for root in places.roots(third)] == ["the first", None, None]
    np.testing.assert_array_equal(places.join(any_or_fixed, first, "pixels"), first)
    assert [places.reason(int(n)) for n in places.roots(second)] == ["the first", "pixels", None]
    np.testing.assert_array_equal(places.join(any_or_fixed, np.full(3, ANY), ""), [ANY, FIXED, ANY])
