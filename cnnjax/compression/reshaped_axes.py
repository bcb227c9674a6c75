"""What a reshape does with the places along an array's axes."""

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from cnnjax.compression.axes import ANY, FIXED, Axes, Axis, Places, filled


def reshaped(
    places: Places, operand: Axes, shape: Sequence[int], why: Callable[[str], str]
) -> Axes:
    """Returns the axes of a reshaped array.

    Axes may be flattened into one where only one of them has channels, as rows, columns and
    channels are before a dense layer; and such an axis may be unfolded again.

    Args:
        places: the numbered places of the program.
        operand: the array's axes.
        shape: the new shape.
        why: makes the reason for channels that cannot be followed.
    """
    result: list[Axis] = []
    for before, after in _parts([len(axis) for axis in operand], shape):
        axes = [operand[d] for d in before]
        sizes = [shape[d] for d in after]
        result += _part(places, axes, sizes, why)
    return tuple(result)


def _part(
    places: Places, axes: Sequence[Axis], sizes: Sequence[int], why: Callable[[str], str]
) -> Sequence[Axis]:
    """Returns the new axes of neighboring axes, with as many places as these together."""
    flat = _flattened(axes)
    if flat is None:
        places.keep_all(axes, why("mixes channels with other channels"))
        return filled(sizes, FIXED)
    unfolded = _unfolded(flat, sizes)
    if unfolded is None:
        places.keep(flat, why("cuts the channels into groups"))
        return filled(sizes, FIXED)
    return unfolded


def _flattened(axes: Sequence[Axis]) -> Axis | None:
    """Returns several axes as one; None where two of them have channels."""
    numbered = [d for d, axis in enumerate(axes) if (axis >= 0).any() and len(axis) > 1]
    if len(numbered) > 1:
        return None
    shape = [len(axis) for axis in axes]
    if not numbered:
        # A single place along an axis of size 1 is no channel among others.
        is_fixed = any((axis == FIXED).any() for axis in axes)
        single = next((axis for axis in axes if (axis >= 0).any()), None)
        if single is not None and math.prod(shape) == 1:
            return single
        return np.full(math.prod(shape), FIXED if is_fixed else ANY)
    place = numbered[0]
    sides = [1] * len(shape)
    sides[place] = shape[place]
    return np.broadcast_to(axes[place].reshape(sides), shape).reshape(-1)


def _unfolded(flat: Axis, sizes: Sequence[int]) -> Sequence[Axis] | None:
    """Returns one axis as several; None where the channels do not lie along one of them."""
    if not sizes:
        return ()
    rest = FIXED if (flat != ANY).any() else ANY
    if not (flat >= 0).any():
        return filled(sizes, int(flat[0]) if len(flat) else ANY)
    whole = flat.reshape(sizes)
    for d, size in enumerate(sizes):
        first = whole[tuple(slice(None) if e == d else slice(0, 1) for e in range(len(sizes)))]
        if (whole == first).all():
            axes = list(filled(sizes, rest))
            axes[d] = first.reshape(size)
            # An axis of one place beside them is added by the reshape, as before a broadcast.
            return [a if e == d or len(a) > 1 else np.full(1, ANY) for e, a in enumerate(axes)]
    return None


def _parts(before: Sequence[int], after: Sequence[int]) -> Iterator[tuple[list[int], list[int]]]:
    """Yields the smallest runs of axes before and after that hold the same number of places."""
    i = j = 0
    while i < len(before) or j < len(after):
        left, right = (
            list(range(i, min(i + 1, len(before)))),
            list(range(j, min(j + 1, len(after)))),
        )
        while (held := math.prod(before[d] for d in left)) != (
            taken := math.prod(after[d] for d in right)
        ):
            longer = left if held < taken else right
            longer.append(longer[-1] + 1 if longer else 0)
        i, j = i + len(left), j + len(right)
        yield left, right
