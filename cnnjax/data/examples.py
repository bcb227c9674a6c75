"""Examples: what is trained on and evaluated, whatever it is kept in."""

import abc
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Int

from cnnjax.data.errors import DataError
from cnnjax.data.kinds import Kind

_BLOCK_EXAMPLES = 256
_BLOCK_BYTES = 2**24

Parts = Mapping[str, np.ndarray]
Positions = Int[np.ndarray, " chosen"] | Sequence[int]


@dataclass(frozen=True)
class PartSpec:
    """The form of one part of one example.

    Attributes:
        shape: its shape, without an axis of examples.
        dtype: its type.
        kind: what it is: an image, a label, …
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    kind: Kind


Spec = Mapping[str, PartSpec]
"""The form of each part of an example, by the part's name."""


def spec_of(arrays: Parts, kinds: Mapping[str, Kind]) -> Spec:
    """Returns the form of one example of arrays [examples, ...]."""
    return {
        name: PartSpec(array.shape[1:], array.dtype, kinds[name]) for name, array in arrays.items()
    }


class Examples(abc.ABC):
    """A number of examples of one form, each with the same named parts.

    A form of one's own has a `spec`, `__len__`, `read` and `identity`; the rest follows from them.

    Attributes:
        spec: the form of each part.
        arrays: all parts as arrays [examples, ...] where they are in memory; None where each
            example is read when it is asked for.
    """

    spec: Spec
    arrays: Parts | None = None

    @abc.abstractmethod
    def __len__(self) -> int:
        """Returns the number of examples."""

    @abc.abstractmethod
    def read(
        self, position: int, generator: np.random.Generator | None = None
    ) -> dict[str, np.ndarray]:
        """Reads one example.

        Args:
            position: which.
            generator: draws what is random about reading it in training; None reads it as in
                evaluation.

        Returns:
            Its parts, as `spec` says.

        Raises:
            DamagedImage: its content cannot be decoded.
            OSError: it cannot be read, others may be.
            DataError: all of them are gone.
        """

    @abc.abstractmethod
    def identity(self) -> dict[str, Any]:
        """Returns what decides the examples and their order, as JSON: a digest, a name, …"""

    def take(self, positions: Positions) -> dict[str, np.ndarray]:
        """Reads several examples, as in evaluation.

        Returns:
            Each part, [len(positions), ...].
        """
        taken = {
            name: np.empty((len(positions), *part.shape), part.dtype)
            for name, part in self.spec.items()
        }
        for row, position in enumerate(positions):
            for name, value in self.read(int(position)).items():
                taken[name][row] = value
        return taken

    def column(self, part: str) -> np.ndarray:
        """Returns one part of all examples, [examples, ...].

        Raises:
            DataError: there is no such part.
        """
        self.require(part)
        blocks = (
            self.take(np.arange(start, min(start + _BLOCK_EXAMPLES, len(self))))[part]
            for start in range(0, len(self), _BLOCK_EXAMPLES)
        )
        return np.concatenate(list(blocks))

    def name(self, position: int) -> str:
        """Returns what a user finds an example by."""
        return f"example {position}"

    def choose(self, positions: Positions) -> "Examples":
        """Returns the examples at these positions alone; see `choose`."""
        return _Chosen(self, np.asarray(positions, np.int32))

    def require(self, part: str) -> PartSpec:
        """Returns the form of a part.

        Raises:
            DataError: there is no such part.
        """
        if part not in self.spec:
            raise DataError(f"part: {part!r} is unknown; the parts are {', '.join(self.spec)}")
        return self.spec[part]

    def parts_of_kind(self, kind: Kind) -> list[str]:
        """Returns the names of the parts of a kind."""
        return [name for name, part in self.spec.items() if part.kind == kind]


@dataclass(frozen=True, eq=False)
class ArrayExamples(Examples):
    """Examples in memory: `own_examples.from_arrays` checks and makes them.

    Attributes:
        arrays: all parts, [examples, ...].
        kinds: the kind of each part.
        described: what they are known by, as `identity` gives it; None for a digest of them.
    """

    arrays: Parts = field()
    kinds: Mapping[str, Kind]
    described: Mapping[str, Any] | None = None

    @cached_property
    def spec(self) -> Spec:  # pyright: ignore[reportIncompatibleVariableOverride]
        """See `Examples`."""
        return spec_of(self.arrays, self.kinds)

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))

    def read(
        self, position: int, generator: np.random.Generator | None = None
    ) -> dict[str, np.ndarray]:
        """See `Examples.read`; nothing is random about it."""
        del generator
        return {name: array[position] for name, array in self.arrays.items()}

    def take(self, positions: Positions) -> dict[str, np.ndarray]:
        """See `Examples.take`."""
        rows = np.asarray(positions, np.intp)
        return {name: array[rows] for name, array in self.arrays.items()}

    def column(self, part: str) -> np.ndarray:
        """See `Examples.column`; the array itself, not to be changed."""
        self.require(part)
        return self.arrays[part]

    def choose(self, positions: Positions) -> "ArrayExamples":
        """See `choose`."""
        positions = np.asarray(positions, np.int32)
        described = None if self.described is None else _described(self.described, positions)
        return ArrayExamples(self.take(positions), self.kinds, described)

    def identity(self) -> dict[str, Any]:
        """See `Examples.identity`: what they are known by, or the SHA-256 of all there is."""
        return {"sha256": self._digest} if self.described is None else dict(self.described)

    @cached_property
    def _digest(self) -> str:
        digest = hashlib.sha256()
        for name in sorted(self.arrays):
            array = self.arrays[name]
            digest.update(repr((name, self.kinds[name], array.shape, array.dtype.str)).encode())
            for block in _byte_blocks(array):
                digest.update(block)
        return digest.hexdigest()


def _byte_blocks(array: np.ndarray) -> Iterator[bytes]:
    """Yields the bytes of an array, some rows at a time, so that a memory map is not copied."""
    if not array.size:
        return
    rows = max(1, _BLOCK_BYTES * len(array) // array.nbytes)
    for start in range(0, len(array), rows):
        yield array[start : start + rows].tobytes()


@dataclass(frozen=True, eq=False)
class _Chosen(Examples):
    """Some examples of others, read when they are asked for."""

    whole: Examples
    positions: Int[np.ndarray, " examples"]

    @property
    def spec(self) -> Spec:  # pyright: ignore[reportIncompatibleVariableOverride]
        """See `Examples`."""
        return self.whole.spec

    def __len__(self) -> int:
        return len(self.positions)

    def read(
        self, position: int, generator: np.random.Generator | None = None
    ) -> dict[str, np.ndarray]:
        """See `Examples.read`."""
        return self.whole.read(int(self.positions[position]), generator)

    def take(self, positions: Positions) -> dict[str, np.ndarray]:
        """See `Examples.take`."""
        return self.whole.take(self.positions[np.asarray(positions, np.intp)])

    def column(self, part: str) -> np.ndarray:
        """See `Examples.column`."""
        if self.require(part).kind in ("label", "count"):
            return self.whole.column(part)[self.positions]
        return super().column(part)

    def name(self, position: int) -> str:
        """See `Examples.name`."""
        return self.whole.name(int(self.positions[position]))

    def choose(self, positions: Positions) -> Examples:
        """See `choose`."""
        return _Chosen(self.whole, self.positions[np.asarray(positions, np.intp)])

    def identity(self) -> dict[str, Any]:
        """See `Examples.identity`."""
        return _described(self.whole.identity(), self.positions)


def _described(whole: Mapping[str, Any], positions: np.ndarray) -> dict[str, Any]:
    digest = hashlib.sha256(repr(whole.get("chosen")).encode())
    digest.update(np.ascontiguousarray(positions, np.int32).tobytes())
    return {**whole, "chosen": digest.hexdigest()[:16]}


def choose(examples: Examples, positions: Positions) -> Examples:
    """Returns some of the examples alone, numbered anew from 0.

    Arrays are copied at once; what is read when it is asked for stays where it is.

    Args:
        examples: the whole.
        positions: which, in the order in which they are wanted.

    Raises:
        DataError: the positions are no whole numbers, none, or beyond the examples.
    """
    found = np.asarray(positions)
    if found.ndim != 1 or found.dtype.kind not in "iu" or not found.size:
        raise DataError(
            f"positions: {found.dtype} {found.shape} was given; give a list of whole numbers "
            "(of a mask, np.flatnonzero(mask))"
        )
    low, high = int(found.min()), int(found.max())
    if low < 0 or high >= len(examples):
        raise DataError(
            f"positions: {low} to {high} was given; there are examples 0 to {len(examples) - 1}"
        )
    return examples.choose(found)
