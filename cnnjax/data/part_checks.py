"""Checks of users' parts: each is converted to the form of its kind, or refused with advice."""

from collections.abc import Callable, Mapping
from typing import Any, get_args

import numpy as np

from cnnjax.data.errors import DataError
from cnnjax.data.kinds import Kind
from cnnjax.nearest import did_you_mean

RESERVED = ("weight", "position", "draw")
"""Names of the arrays that a batch adds to the parts of its examples."""

COUNT_SUFFIX = "_count"
"""`boxes_count` is the number of real ones among the `boxes` of an example."""

LABEL_SUFFIX = "_label"
"""`boxes_label` has the class of each of the `boxes` of an example."""

_NAMED_AS_KIND: tuple[Kind, ...] = ("image", "label", "mask", "boxes", "points")
_OF_ROWS: dict[str, Kind] = {COUNT_SUFFIX: "count", LABEL_SUFFIX: "labels"}


def kinds_by_name(names: Mapping[str, Any], kinds: Mapping[str, Kind] | None) -> dict[str, Kind]:
    """Returns the kind of each part.

    Args:
        names: the parts by name; only the names are used.
        kinds: kinds of the parts whose names do not show it.

    Raises:
        DataError: a kind is unknown, or given for a part that does not exist.
    """
    given: dict[str, Kind] = dict(kinds or {})
    for name, kind in given.items():
        if name not in names:
            raise DataError(
                f"kinds: {name!r} is no part; the parts are {', '.join(map(repr, names))}"
            )
        if kind not in get_args(Kind):
            raise DataError(
                f"kinds: {kind!r} of the part {name!r} is unknown; "
                f"{did_you_mean(str(kind), get_args(Kind))}known: {', '.join(get_args(Kind))}"
            )
    return {name: given.get(name) or _kind(name, names, given) for name in names}


def _kind(name: str, names: Mapping[str, Any], given: Mapping[str, Kind]) -> Kind:
    for kind in _NAMED_AS_KIND:
        if name == kind:
            return kind
    # Only boxes and points are counted, and have a class each: `label_count` is a value.
    for suffix, own in _OF_ROWS.items():
        rows = name.removesuffix(suffix)
        if rows != name and rows in names:
            kind = given.get(rows) or _kind(rows, names, given)
            if kind in ("boxes", "points"):
                return own
    return "value"


def check_parts(
    parts: Mapping[str, Any], kinds: Mapping[str, Kind] | None = None
) -> tuple[dict[str, np.ndarray], dict[str, Kind]]:
    """Converts the parts of several examples to the form of their kinds.

    Args:
        parts: arrays, or whatever NumPy can convert to arrays, each with one row per example.
        kinds: kinds of the parts whose names do not show it.

    Returns:
        The arrays and their kinds. Boxes and points without a count are all real, and get one.

    Raises:
        DataError: a part does not have the form of its kind, or the numbers of rows differ.
    """
    if not parts:
        raise DataError("parts: there are none; give at least one, such as image=…")
    for name in parts:
        if name in RESERVED:
            raise DataError(
                f"{name}: a batch has its own {' and '.join(RESERVED)}; name the part otherwise"
            )
    found = kinds_by_name(parts, kinds)
    arrays = {name: _CHECKS[found[name]](name, _array(name, parts[name])) for name in parts}
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        raise DataError(f"parts: each has a row for every example, but {listed}")
    _check_counts(arrays, found)
    _check_masks(arrays, found)
    return arrays, found


def _array(name: str, values: Any) -> np.ndarray:
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        # JAX's own number types, such as bfloat16, have no kind letter in NumPy.
        try:
            converted = None if array.dtype.kind in "cmM" else array.astype(np.float32)
        except (TypeError, ValueError):
            converted = None
        if converted is None:
            raise DataError(
                f"{name}: an array of {array.dtype} was given; parts are arrays of real numbers, "
                "with rows of one shape"
            )
        array = converted
    if array.ndim == 0:
        raise DataError(f"{name}: a single number was given; give an array, a row per example")
    return array


def _image(name: str, array: np.ndarray) -> np.ndarray:
    if array.ndim == 3:
        raise DataError(
            f"{name}: images {array.shape} have no channels; they are [examples, height, width, "
            f"channels]: give {name}[..., None]"
        )
    if array.ndim != 4:
        raise DataError(
            f"{name}: {array.shape} was given; images are [examples, height, width, channels]"
        )
    # With channels last, these would be images of 4 rows at most and more than 4 channels.
    if array.shape[1] in (1, 3, 4) and min(array.shape[2:]) > 4:
        raise DataError(
            f"{name}: images {array.shape} look as if their channels came first (NCHW); here they "
            f"come last: give {name}.transpose(0, 2, 3, 1)"
        )
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind == "f":
        return array.astype(np.float32, copy=False)
    raise DataError(
        f"{name}: images of {array.dtype} were given; they are uint8 from 0 to 255, or floats, "
        f"which are taken as they are: give {name}.astype(np.uint8), or scale and give floats"
    )


def _label(name: str, array: np.ndarray) -> np.ndarray:
    if array.ndim != 1:
        remedy = "argmax(axis=1)" if array.ndim == 2 and array.shape[1] > 1 else "reshape(-1)"
        raise DataError(
            f"{name}: {array.shape} was given; labels are one whole number per example: "
            f"give {name}.{remedy}, or kinds={{{name!r}: 'value'}} for numbers to predict"
        )
    return _whole(name, array, "labels")


def _count(name: str, array: np.ndarray) -> np.ndarray:
    if array.ndim != 1:
        raise DataError(f"{name}: {array.shape} was given; counts are one number per example")
    return _whole(name, array, "counts")


def _labels(name: str, array: np.ndarray) -> np.ndarray:
    if array.ndim != 2:
        raise DataError(
            f"{name}: {array.shape} was given, expected [examples, maximum]: a class for each row "
            f"of {name.removesuffix(LABEL_SUFFIX)}, padded with 0"
        )
    return _whole(name, array, "labels")


def _whole(name: str, array: np.ndarray, what: str) -> np.ndarray:
    if array.dtype.kind == "f":
        remedy = f"give {name}.astype(np.int32)"
        if not np.all(array == np.floor(array)):
            remedy = f"for numbers to predict, give kinds={{{name!r}: 'value'}}"
        raise DataError(f"{name}: {array.dtype} was given; {what} are whole numbers: {remedy}")
    # `astype` would wrap larger numbers around without an error.
    if array.size and not -(2**31) <= int(array.min()) <= int(array.max()) < 2**31:
        raise DataError(
            f"{name}: {what} from {array.min()} to {array.max()} do not fit int32; number them anew"
        )
    return array.astype(np.int32, copy=False)


def _mask(name: str, array: np.ndarray) -> np.ndarray:
    if array.ndim == 4 and array.shape[3] == 1:
        raise DataError(
            f"{name}: {array.shape} was given; masks are [examples, height, width]: "
            f"give {name}[..., 0]"
        )
    if array.ndim != 3:
        raise DataError(
            f"{name}: {array.shape} was given; masks are [examples, height, width], "
            "a class for each pixel"
        )
    # Bytes are kept, since int32 would take four times the memory.
    if array.dtype in (np.uint8, np.bool_):
        return array.astype(np.uint8, copy=False)
    return _whole(name, array, "masks")


def _rows_of(length: int, columns: str) -> Callable[[str, np.ndarray], np.ndarray]:
    def check(name: str, array: np.ndarray) -> np.ndarray:
        if array.ndim == 2 and array.shape[1] == length:
            raise DataError(
                f"{name}: {array.shape} was given; an example may have several ({columns}), padded "
                f"to a maximum: give {name}[:, None]"
            )
        if array.ndim != 3 or array.shape[2] != length:
            raise DataError(
                f"{name}: {array.shape} was given, expected [examples, maximum, {length}]: "
                f"rows of ({columns}) in pixels, padded to a maximum"
            )
        wrong = ~np.isfinite(array).all(axis=-1)
        if length == 4:
            wrong |= (array[..., 2:] < array[..., :2]).any(axis=-1)
        if wrong.any():
            example, row = np.argwhere(wrong)[0].tolist()
            raise DataError(
                f"{name}: row {row} of example {example} is {array[example, row].tolist()}; rows "
                f"are ({columns}), finite"
                + (
                    ", with the bottom below the top and the right edge on the right"
                    * (length == 4)
                )
            )
        return array.astype(np.float32, copy=False)

    return check


def _value(name: str, array: np.ndarray) -> np.ndarray:
    del name
    return array.astype(np.float32, copy=False)


_CHECKS: dict[Kind, Callable[[str, np.ndarray], np.ndarray]] = {
    "image": _image,
    "label": _label,
    "mask": _mask,
    "boxes": _rows_of(4, "top, left, bottom, right"),
    "points": _rows_of(2, "row, column"),
    "count": _count,
    "labels": _labels,
    "value": _value,
}


def _check_counts(arrays: dict[str, np.ndarray], kinds: dict[str, Kind]) -> None:
    """Checks the counts of boxes and points, and adds missing ones."""
    for name in [name for name, kind in kinds.items() if kind in ("boxes", "points")]:
        count, most = name + COUNT_SUFFIX, arrays[name].shape[1]
        if count not in arrays:
            arrays[count], kinds[count] = np.full(len(arrays[name]), most, np.int32), "count"
        counts = arrays[count]
        if counts.size and not 0 <= counts.min() <= counts.max() <= most:
            raise DataError(
                f"{count}: {counts.min()} to {counts.max()} was given; "
                f"{name} holds up to {most} an example"
            )
        labels = name + LABEL_SUFFIX
        if labels in arrays and arrays[labels].shape[1:] != (most,):
            raise DataError(
                f"{labels}: {arrays[labels].shape} was given; {name} {arrays[name].shape} needs "
                f"[examples, {most}], a class for each row"
            )


def _check_masks(arrays: Mapping[str, np.ndarray], kinds: Mapping[str, Kind]) -> None:
    """Raises an error unless images and masks, which are moved together, have one size."""
    sizes = {
        name: arrays[name].shape[1:3] for name, kind in kinds.items() if kind in ("image", "mask")
    }
    if "mask" in kinds.values() and len(set(sizes.values())) > 1:
        listed = ", ".join(f"{name} {height}x{width}" for name, (height, width) in sizes.items())
        raise DataError(f"parts: images and masks have one size, but there are {listed}")
