"""Examples made of others: several sets as one, and sets with other labels."""

import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from cnnjax.data.errors import DataError
from cnnjax.data.examples import Examples, Spec


@dataclass(frozen=True, eq=False)
class JoinedExamples(Examples):
    """Several sets as one, one after another.

    Attributes:
        sets: examples of one form.

    Raises:
        DataError: there are no sets, or their forms differ.
    """

    sets: tuple[Examples, ...]

    def __post_init__(self) -> None:
        """Raises an error for sets of different forms."""
        forms = [dict(one.spec) for one in self.sets]
        if not forms or any(form != forms[0] for form in forms):
            raise DataError(f"examples: sets of one form can be joined, got {forms}")

    @property
    def spec(self) -> Spec:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The form of each part."""
        return self.sets[0].spec

    @cached_property
    def _ends(self) -> list[int]:
        return np.cumsum([len(one) for one in self.sets]).tolist()

    def __len__(self) -> int:
        return self._ends[-1]

    def _place(self, position: int) -> tuple[Examples, int]:
        # An end is the first position of the next set.
        number = bisect.bisect_right(self._ends, position)
        return self.sets[number], position - (self._ends[number - 1] if number else 0)

    def read(
        self, position: int, generator: np.random.Generator | None = None
    ) -> dict[str, np.ndarray]:
        """Reads one example; see `Examples.read`.

        Args:
            position: position of the example.
            generator: draws the randomness of the reading in training; None in evaluation.
        """
        examples, place = self._place(position)
        return examples.read(place, generator)

    def column(self, part: str) -> np.ndarray:
        """Returns one part of all examples; see `Examples.column`.

        Args:
            part: name of the part.
        """
        return np.concatenate([one.column(part) for one in self.sets])

    def name(self, position: int) -> str:
        """Returns the name of one example; see `Examples.name`.

        Args:
            position: position of the example.
        """
        examples, place = self._place(position)
        return examples.name(place)

    def identity(self) -> dict[str, Any]:
        """Returns the identities of the sets; see `Examples.identity`."""
        return {"joined": [one.identity() for one in self.sets]}


@dataclass(frozen=True, eq=False)
class ChangedExamples(Examples):
    """Other examples one by one, of which subclasses change parts; their number and names stay.

    Attributes:
        examples: the examples that are changed.
    """

    examples: Examples

    @property
    def spec(self) -> Spec:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The form of each part."""
        return self.examples.spec

    def __len__(self) -> int:
        return len(self.examples)

    def name(self, position: int) -> str:
        """Returns the name of one example; see `Examples.name`.

        Args:
            position: position of the example.
        """
        return self.examples.name(position)


@dataclass(frozen=True, eq=False)
class RelabeledExamples(ChangedExamples):
    """Examples with other labels.

    Attributes:
        examples: the examples whose labels change.
        labels: the new label for each old one.
        part: name of the part of kind label.

    Raises:
        DataError: there is no such part, or a new label is no number from 0. Reading raises it for
            an old label without a new one.
    """

    labels: Sequence[int]
    part: str = "label"

    def __post_init__(self) -> None:
        """Raises an error for a part that is no label, and for new labels that are no numbers."""
        kind = self.examples.require(self.part).kind
        if kind != "label":
            raise DataError(f"part: {self.part!r} is of kind {kind!r}; give a part of kind 'label'")
        labels = np.asarray(self.labels)
        if labels.ndim != 1 or labels.dtype.kind not in "iu" or not len(labels) or labels.min() < 0:
            raise DataError(
                f"labels: {self.labels!r} were given; give a whole number from 0 for each old label"
            )

    def read(
        self, position: int, generator: np.random.Generator | None = None
    ) -> dict[str, np.ndarray]:
        """Reads one example; see `Examples.read`.

        Args:
            position: position of the example.
            generator: draws the randomness of the reading in training; None in evaluation.
        """
        parts = self.examples.read(position, generator)
        return {**parts, self.part: self._changed(parts[self.part])}

    def column(self, part: str) -> np.ndarray:
        """Returns one part of all examples; see `Examples.column`.

        Args:
            part: name of the part.
        """
        values = self.examples.column(part)
        return self._changed(values) if part == self.part else values

    def _changed(self, labels: np.ndarray) -> np.ndarray:
        # A negative number would count from the end.
        beyond = labels[(labels < 0) | (labels >= len(self.labels))]
        if beyond.size:
            raise DataError(
                f"labels: there is no new label for {self.part} {beyond.flat[0]}, only for 0 to "
                f"{len(self.labels) - 1}; give one for each old label"
            )
        return np.asarray(self.labels, np.int32)[labels]

    def identity(self) -> dict[str, Any]:
        """Returns the identity of the examples and the new labels; see `Examples.identity`."""
        return {**self.examples.identity(), "labels": list(self.labels)}
