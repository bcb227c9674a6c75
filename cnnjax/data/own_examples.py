"""Examples of users: arrays, a source with positions, or a generator."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from cnnjax.data.array_examples import ArrayExamples
from cnnjax.data.errors import DataError
from cnnjax.data.examples import Examples, Spec, spec_of
from cnnjax.data.kinds import Kind
from cnnjax.data.part_checks import check_parts


def from_arrays(*, kinds: Mapping[str, Kind] | None = None, **parts: Any) -> ArrayExamples:
    """Makes examples of arrays.

    A part named `image`, `label`, `mask`, `boxes` or `points` is of the kind of that name. Any
    other is a value, unless `kinds` names another kind.

    Args:
        kinds: the kind of parts whose names do not show it, such as `{"left": "image"}`.
        **parts: arrays with a row per example. Images [n, height, width, channels] are uint8, which
            is scaled to 0 … 1 on the device, or floats, which stay as they are (float64 becomes
            float32). Labels [n] and masks [n, height, width] are whole numbers. Boxes
            [n, maximum, 4] (top, left, bottom, right) and points [n, maximum, 2] (row, column) are
            in pixels; `boxes_count` [n] is the number of real ones, and `boxes_label` [n, maximum]
            the class of each. Values are any numbers, kept as float32.

    Raises:
        DataError: a part does not have the form of its kind, or the numbers of examples differ.
    """
    arrays, found = check_parts(parts, kinds)
    if not len(next(iter(arrays.values()))):
        raise DataError("parts: there are no examples in them; give at least one")
    return ArrayExamples(arrays, found)


class SourceExamples(Examples):
    """Examples that a user's source returns by position: `from_source` makes them.

    Args:
        source: has `len()` and returns an example for each position.
        parts: names of the parts, where an example is a tuple.
        kinds: kinds of the parts whose names do not show it.
        spec: the form that each example must have; None for that of the first.
        version: distinguishes this content of the source from others.
    """

    def __init__(
        self,
        source: Any,
        parts: tuple[str, ...],
        kinds: Mapping[str, Kind] | None,
        spec: Spec | None,
        version: str,
    ):
        self._source = source
        self._parts = parts
        self._kinds: dict[str, Kind] = dict(kinds or {})
        self._version = version
        # Without a form, the first example is read now, which also reports a wrong source early.
        self.spec = spec if spec is not None else spec_of(*self._checked(0))
        if spec is not None:
            self._kinds = {name: part.kind for name, part in spec.items()}

    def __len__(self) -> int:
        return len(self._source)

    def read(
        self, position: int, generator: np.random.Generator | None = None
    ) -> dict[str, np.ndarray]:
        """Reads one example; see `Examples.read`.

        Args:
            position: position of the example.
            generator: ignored, since the source draws its own randomness.

        Raises:
            DataError: the example has another form than the others.
        """
        del generator
        arrays, kinds = self._checked(position)
        found = spec_of(arrays, kinds)
        if found != self.spec:
            raise DataError(
                f"example {position}: {_difference(found, self.spec)}; all examples have one form"
            )
        return {name: array[0] for name, array in arrays.items()}

    def identity(self) -> dict[str, Any]:
        """Returns the source's class, version, size and parts; see `Examples.identity`."""
        return {
            "source": f"{type(self._source).__module__}.{type(self._source).__qualname__}",
            "version": self._version,
            "examples": len(self),
            "parts": {
                name: f"{part.kind} {part.dtype} {list(part.shape)}"
                for name, part in self.spec.items()
            },
        }

    def _checked(self, position: int) -> tuple[dict[str, np.ndarray], dict[str, Kind]]:
        parts = _named_parts(self._source[position], self._parts, position)
        # The kinds of missing parts are left out, since `read` reports such an example better.
        kinds: dict[str, Kind] = {name: kind for name, kind in self._kinds.items() if name in parts}
        try:
            # The checks are those of whole arrays: one example is an array with one row.
            return check_parts({name: np.asarray(v)[None] for name, v in parts.items()}, kinds)
        except DataError as error:
            raise DataError(f"example {position}, after an axis of examples: {error}") from None


def from_source(
    source: Any,
    spec: Spec | None = None,
    *,
    parts: tuple[str, ...] = ("image", "label"),
    kinds: Mapping[str, Kind] | None = None,
    version: str = "",
) -> SourceExamples:
    """Makes examples of anything that returns them by position, such as a PyTorch dataset.

    Each is read on demand, in threads, and checked against the form of the first.

    Args:
        source: has `len(source)`, and `source[position]` is a dictionary of arrays, or a tuple. It
            raises `data.DamagedImage` or OSError for an example that is to be left out.
        spec: the form of an example; None for that of the first.
        parts: names of the parts, where an example is a tuple.
        kinds: the kind of parts whose names do not show it; see `from_arrays`.
        version: distinguishes this content of the source from others; a run is resumed only on the
            same version.

    Raises:
        DataError: the source has no positions or no examples, or the first has wrong parts.
    """
    for method in ("__len__", "__getitem__"):
        if not hasattr(source, method):
            raise DataError(
                f"source: {type(source).__name__} has no {method}; give something with len() and "
                "positions, or data.from_generator(…) for what is read once"
            )
    if not len(source):
        raise DataError("source: there are no examples in it; give at least one")
    return SourceExamples(source, tuple(parts), kinds, spec, version)


def from_generator(
    examples: Iterable[Any],
    *,
    parts: tuple[str, ...] = ("image", "label"),
    kinds: Mapping[str, Kind] | None = None,
) -> ArrayExamples:
    """Reads examples once, into arrays in memory.

    Args:
        examples: yields dictionaries of arrays, or tuples, all of one form.
        parts: names of the parts, where an example is a tuple.
        kinds: the kind of parts whose names do not show it; see `from_arrays`.

    Raises:
        DataError: there are no examples, or they differ in form.
    """
    columns: dict[str, list[np.ndarray]] = {}
    for position, example in enumerate(examples):
        named = {
            name: np.asarray(value)
            for name, value in _named_parts(example, parts, position).items()
        }
        if not position:
            columns = {name: [] for name in named}
        first = {name: column[0].shape for name, column in columns.items() if column}
        shapes = {name: value.shape for name, value in named.items()}
        if named.keys() != columns.keys() or (first and shapes != first):
            raise DataError(
                f"example {position}: its parts are {shapes}, those of the first {first}; "
                "all examples have one form"
            )
        for name, value in named.items():
            columns[name].append(value)
    if not columns:
        raise DataError("examples: there are none; give at least one (a generator is read once)")
    return from_arrays(kinds=kinds, **{name: np.stack(column) for name, column in columns.items()})


def _named_parts(example: Any, names: tuple[str, ...], position: int) -> Mapping[str, Any]:
    if isinstance(example, Mapping):
        return example
    if isinstance(example, tuple | list) and len(example) == len(names):
        return dict(zip(names, example, strict=True))
    given = type(example).__name__
    if isinstance(example, tuple | list):
        given += f" of {len(example)}"
    raise DataError(
        f"example {position}: {given} was given; give a dictionary of arrays, or a tuple of "
        f"{len(names)}, {', '.join(names)} (parts= names others)"
    )


def _difference(found: Spec, expected: Spec) -> str:
    if found.keys() != expected.keys():
        return f"it has the parts {', '.join(found)}, expected {', '.join(expected)}"
    return "; ".join(
        f"{name} is {part.dtype} {list(part.shape)}, expected {expected[name].dtype} "
        f"{list(expected[name].shape)}"
        for name, part in found.items()
        if part != expected[name]
    )
