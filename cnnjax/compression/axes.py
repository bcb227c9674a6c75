"""Which places along which axes of a program's arrays belong together.

Every place along every axis of every variable has a number. Where a program adds two arrays, or
contracts two axes, the numbers that meet are joined: a channel is the set of all places that must
go together. A channel that meets an operation which cannot do without it is kept, with the reason.
"""

from collections.abc import Iterable, Sequence

import jax
import numpy as np
from jaxtyping import Int

Axis = Int[np.ndarray, "_"]
"""The number at each place along an axis, or `ANY` or `FIXED`."""

Axes = tuple[Axis, ...]
"""The axes of an array."""

ANY = -1
"""In place of a number: a place of an array that has the size which the program gives it."""

FIXED = -2
"""In place of a number: a place that is always there, such as a pixel of the image."""


class Places:
    """The numbered places, and which of them are joined."""

    def __init__(self):
        self._parents = np.empty(0, np.int64)
        self._reasons: dict[int, str] = {}

    def new(self, size: int) -> Axis:
        """Returns new numbers for an axis.

        Args:
            size: of the axis.
        """
        first = len(self._parents)
        numbers = np.arange(first, first + size)
        self._parents = np.concatenate([self._parents, numbers])
        return numbers

    def roots(self, axis: Axis) -> Axis:
        """Returns one number for each channel, the same at all of its places.

        Args:
            axis: numbers only.
        """
        found = self._parents[axis]
        while True:
            above = self._parents[found]
            if np.array_equal(above, found):
                break
            found = above
        # Later searches are short.
        self._parents[axis] = found
        return found

    def join(self, first: Axis, second: Axis, reason: str) -> Axis:
        """Returns the axis at which two axes meet place by place, and joins their numbers.

        Args:
            first: an axis.
            second: an axis of the same size.
            reason: why a channel that meets a fixed place is kept.
        """
        numbered = (first >= 0) & (second >= 0)
        if numbered.any() and first is not second:
            pairs = zip(self.roots(first[numbered]), self.roots(second[numbered]), strict=True)
            for one, other in pairs:
                self._join(int(one), int(other))
        self.keep(first[second == FIXED], reason)
        self.keep(second[first == FIXED], reason)
        # The larger is the number where one of them has one, and ANY gives way to FIXED.
        larger, smaller = np.maximum(first, second), np.minimum(first, second)
        return np.where(larger >= 0, np.where(first >= 0, first, larger), smaller)

    def _join(self, one: int, other: int) -> None:
        # The numbers may have been joined by an earlier pair.
        one, other = (self._root(number) for number in (one, other))
        if one == other:
            return
        reason = self._reasons.pop(other, None)
        self._parents[other] = one
        if reason is not None:
            self._reasons.setdefault(one, reason)

    def _root(self, number: int) -> int:
        while self._parents[number] != number:
            number = int(self._parents[number])
        return number

    def keep(self, axis: Axis, reason: str) -> None:
        """Marks the channels at some places as ones that cannot be removed.

        Args:
            axis: numbers, or `ANY` or `FIXED`.
            reason: why not.
        """
        for root in np.unique(self.roots(axis[axis >= 0])).tolist():
            self._reasons.setdefault(root, reason)

    def keep_all(self, axes: Iterable[Axis], reason: str) -> None:
        """Marks the channels of several axes as ones that cannot be removed.

        Args:
            axes: the axes.
            reason: why not.
        """
        for axis in axes:
            self.keep(axis, reason)

    def reason(self, root: int) -> str | None:
        """Returns why a channel cannot be removed; None if it can.

        Args:
            root: as `roots` returns it.
        """
        return self._reasons.get(root)


def filled(shape: Sequence[int], value: int) -> Axes:
    """Returns axes without numbers.

    Args:
        shape: of the array.
        value: `ANY` or `FIXED`.
    """
    return tuple(np.full(size, value) for size in shape)


def leaf_paths(tree: object) -> list[tuple[str, ...]]:
    """Returns the path of every leaf of a tree, in order.

    Args:
        tree: nested dictionaries.
    """
    return [
        tuple(str(getattr(key, "key", key)) for key in path)
        for path, _ in jax.tree_util.tree_leaves_with_path(tree)
    ]
