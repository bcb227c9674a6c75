"""Examples in memory."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from cnnjax.data.examples import Examples, Parts, Positions, Spec, chosen_identity, spec_of
from cnnjax.data.kinds import Kind

_BLOCK_BYTES = 2**24


@dataclass(frozen=True, eq=False)
class ArrayExamples(Examples):
    """Examples in memory: `own_examples.from_arrays` checks arrays and makes these of them.

    Attributes:
        arrays: all parts, [examples, ...].
        kinds: the kind of each part.
        described: their identity, as `identity` returns it; None for a digest of the arrays.
    """

    arrays: Parts = field()
    kinds: Mapping[str, Kind]
    described: Mapping[str, Any] | None = None

    @cached_property
    def spec(self) -> Spec:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The form of each part."""
        return spec_of(self.arrays, self.kinds)

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))

    def read(
        self, position: int, generator: np.random.Generator | None = None
    ) -> dict[str, np.ndarray]:
        """Reads one example; see `Examples.read`.

        Args:
            position: position of the example.
            generator: ignored, since nothing here is random.
        """
        del generator
        return {name: array[position] for name, array in self.arrays.items()}

    def take(self, positions: Positions) -> dict[str, np.ndarray]:
        """Reads several examples at once; see `Examples.take`.

        Args:
            positions: positions of the examples.
        """
        # With a dtype, since NumPy makes floats of an empty list.
        rows = np.asarray(positions, np.intp)
        return {name: array[rows] for name, array in self.arrays.items()}

    def column(self, part: str) -> np.ndarray:
        """Returns the array of one part itself, which must not be changed; see `Examples.column`.

        Args:
            part: name of the part.
        """
        self.require(part)
        return self.arrays[part]

    def choose(self, positions: Positions) -> "ArrayExamples":
        """Returns copies of the examples at some positions; see `Examples.choose`.

        Args:
            positions: positions of the examples.
        """
        positions = np.asarray(positions, np.int32)
        described = None if self.described is None else chosen_identity(self.described, positions)
        return ArrayExamples(self.take(positions), self.kinds, described)

    def identity(self) -> dict[str, Any]:
        """Returns `described`, or else the SHA-256 of all arrays; see `Examples.identity`."""
        return {"sha256": self._digest} if self.described is None else dict(self.described)

    @cached_property
    def _digest(self) -> str:
        digest = hashlib.sha256()
        for name in sorted(self.arrays):
            array = self.arrays[name]
            # Equal bytes of another shape or type are other examples.
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
