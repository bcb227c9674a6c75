"""Examples for training and evaluation, wherever they are kept."""

import abc
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Integer

from cnnjax.data.errors import DataError
from cnnjax.data.kinds import Kind

# `column` reads this many examples at once, and keeps one of their parts.
_BLOCK_EXAMPLES = 256

Parts = Mapping[str, np.ndarray]
Positions = Integer[np.ndarray, " chosen"] | Sequence[int]


@dataclass(frozen=True)
class PartSpec:
    """The form of one part of one example.

    Attributes:
        shape: shape of the part of one example.
        dtype: its type.
        kind: its kind, such as "image" or "label".
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    kind: Kind


Spec = Mapping[str, PartSpec]
"""The form of each part of an example, by the part's name."""


def spec_of(arrays: Parts, kinds: Mapping[str, Kind]) -> Spec:
    """Returns the form of one example.

    Args:
        arrays: all parts, [examples, ...].
        kinds: the kind of each part.
    """
    return {
        name: PartSpec(array.shape[1:], array.dtype, kinds[name]) for name, array in arrays.items()
    }


class Examples(abc.ABC):
    """A number of examples of one form, each with the same named parts.

    A subclass has a `spec`, `__len__`, `read` and `identity`; the other methods follow from them.

    Attributes:
        spec: the form of each part.
        arrays: all parts as arrays [examples, ...] where they are in memory; None where each
            example is read on demand.
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
            position: position of the example, from 0.
            generator: draws the randomness of the reading in training; None reads as in
                evaluation.

        Returns:
            The parts of the example, in the form of `spec`.

        Raises:
            DamagedImage: the content of the example cannot be decoded.
            OSError: the example cannot be read, but others may be.
            DataError: all examples are gone.
        """

    @abc.abstractmethod
    def identity(self) -> dict[str, Any]:
        """Returns an identity of the examples and their order, as JSON: a digest, or a name.

        A run is resumed only on examples of the same identity.
        """

    def take(self, positions: Positions) -> dict[str, np.ndarray]:
        """Reads several examples, as in evaluation.

        Args:
            positions: positions of the examples.

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

        Args:
            part: name of the part.

        Raises:
            DataError: there is no such part.
        """
        self.require(part)
        # In blocks, so that the other parts of all examples are never in memory together.
        blocks = (
            self.take(np.arange(start, min(start + _BLOCK_EXAMPLES, len(self))))[part]
            for start in range(0, len(self), _BLOCK_EXAMPLES)
        )
        return np.concatenate(list(blocks))

    def name(self, position: int) -> str:
        """Returns a name by which a user finds an example.

        Args:
            position: position of the example.
        """
        return f"example {position}"

    def choose(self, positions: Positions) -> "Examples":
        """Returns only the examples at some positions; `choose` also checks these.

        Args:
            positions: positions of the examples.
        """
        return _Chosen(self, np.asarray(positions, np.int32))

    def require(self, part: str) -> PartSpec:
        """Returns the form of a part.

        Args:
            part: name of the part.

        Raises:
            DataError: there is no such part.
        """
        if part not in self.spec:
            raise DataError(f"part: {part!r} is unknown; the parts are {', '.join(self.spec)}")
        return self.spec[part]

    def parts_of_kind(self, kind: Kind) -> list[str]:
        """Returns the names of the parts of a kind.

        Args:
            kind: the kind.
        """
        return [name for name, part in self.spec.items() if part.kind == kind]


@dataclass(frozen=True, eq=False)
class _Chosen(Examples):
    """Some of other examples, read on demand."""

    whole: Examples
    positions: Integer[np.ndarray, " examples"]

    @property
    def spec(self) -> Spec:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The form of each part."""
        return self.whole.spec

    def __len__(self) -> int:
        return len(self.positions)

    def read(
        self, position: int, generator: np.random.Generator | None = None
    ) -> dict[str, np.ndarray]:
        """Reads one of the chosen examples; see `Examples.read`.

        Args:
            position: position of the example.
            generator: draws the randomness of the reading in training; None in evaluation.
        """
        return self.whole.read(int(self.positions[position]), generator)

    def take(self, positions: Positions) -> dict[str, np.ndarray]:
        """Reads several of the chosen examples; see `Examples.take`.

        Args:
            positions: positions among the chosen examples.
        """
        return self.whole.take(self.positions[np.asarray(positions, np.intp)])

    def column(self, part: str) -> np.ndarray:
        """Returns one part of the chosen examples; see `Examples.column`.

        Args:
            part: name of the part.
        """
        if self.require(part).kind in ("label", "count"):
            # A set may know these without decoding an image.
            return self.whole.column(part)[self.positions]
        return super().column(part)

    def name(self, position: int) -> str:
        """Returns the name of one of the chosen examples; see `Examples.name`.

        Args:
            position: position among the chosen examples.
        """
        return self.whole.name(int(self.positions[position]))

    def choose(self, positions: Positions) -> Examples:
        """Returns some of the chosen examples; see `Examples.choose`.

        Args:
            positions: positions among the chosen examples.
        """
        return _Chosen(self.whole, self.positions[np.asarray(positions, np.intp)])

    def identity(self) -> dict[str, Any]:
        """Returns the whole's identity and a digest of the positions; see `Examples.identity`."""
        return chosen_identity(self.whole.identity(), self.positions)


def chosen_identity(whole: Mapping[str, Any], positions: np.ndarray) -> dict[str, Any]:
    """Returns the identity of chosen examples.

    Args:
        whole: identity of the examples that they were chosen from.
        positions: positions of the chosen ones.
    """
    # An earlier choice is part of the digest: its positions decide the meaning of these.
    digest = hashlib.sha256(repr(whole.get("chosen")).encode())
    digest.update(np.ascontiguousarray(positions, np.int32).tobytes())
    return {**whole, "chosen": digest.hexdigest()[:16]}


def choose(examples: Examples, positions: Positions) -> Examples:
    """Returns only the examples at some positions, renumbered from 0.

    Arrays in memory are copied at once; other examples are still read on demand.

    Args:
        examples: all examples.
        positions: positions of the chosen ones, in the order of the result.

    Raises:
        DataError: there are no positions, or some are not whole numbers or not those of examples.
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
