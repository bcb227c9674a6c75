"""Examples of a user's own: arrays, a source with positions, or a generator."""

from collections.abc import Mapping
from typing import Any

from cnnjax.data.errors import DataError
from cnnjax.data.examples import ArrayExamples
from cnnjax.data.kinds import Kind
from cnnjax.data.part_checks import check_parts


def from_arrays(*, kinds: Mapping[str, Kind] | None = None, **parts: Any) -> ArrayExamples:
    """Makes examples of arrays.

    The names `image`, `label`, `mask`, `boxes` and `points` say what a part is; any other is a
    value unless `kinds` says otherwise.

    Args:
        kinds: the kind of parts whose names do not say it, such as `{"left": "image"}`.
        **parts: arrays with a row per example. Images [n, height, width, channels] are uint8, which
            is scaled to 0 … 1 on the device, or floats, taken as they are (float64 becomes
            float32); labels [n] whole numbers; masks [n, height, width] whole numbers; boxes
            [n, maximum, 4] (top, left, bottom, right) and points [n, maximum, 2] (row, column) in
            pixels, with `boxes_count` [n] saying how many are real; values anything, as float32.

    Raises:
        DataError: a part does not have the form of its kind, or the numbers of examples differ.
    """
    arrays, found = check_parts(parts, kinds)
    if not len(next(iter(arrays.values()))):
        raise DataError("parts: there are no examples in them; give at least one")
    return ArrayExamples(arrays, found)
