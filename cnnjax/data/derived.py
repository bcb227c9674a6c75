"""Examples made of others: several sets as one, and labels by other names."""

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
    """Several sets, one after another.

    Attributes:
        sets: examples of one form.

    Raises:
        DataError: there is none, or their forms differ.
    """

    sets: tuple[Examples, ...]

    def __post_init__(self) -> None:
        """Refuses sets of different forms."""
        forms = [dict(one.spec) for one in self.sets]
        if not forms or any(form != forms[0] for form in forms):
            raise DataError(f"examples: sets of one form can be joined, got {forms}")

    @property
    def spec(self) -> Spec:  # pyright: ignore[reportIncompatibleVariableOverride]
        """See `Examples`."""
        return self.sets[0].spec

    @cached_property
    def _ends(self) -> list[int]:
        return np.cumsum([len(one) for one in self.sets]).tolist()

    def __len__(self) -> int:
        return self._ends[-1]

    def _place(self, position: int) -> tuple[Examples, int]:
        number = bisect.bisect_right(self._ends, position)
        return self.sets[number], position - (self._ends[number - 1] if number else 0)

    def read(
        self, position: int, generator: np.random.Generator | None = None
    ) -> dict[str, np.ndarray]:
        """See `Examples.read`."""
        examples, place = self._place(position)
        return examples.read(place, generator)

    def column(self, part: str) -> np.ndarray:
        """See `Examples.column`."""
        return np.concatenate([one.column(part) for one in self.sets])

    def name(self, position: int) -> str:
        """See `Examples.name`."""
        examples, place = self._place(position)
        return examples.name(place)

    def identity(self) -> dict[str, Any]:
        """See `Examples.identity`."""
        return {"joined": [one.identity() for one in self.sets]}


@dataclass(frozen=True, eq=False)
class RelabeledExamples(Examples):
    """Examples whose labels are counted otherwise.

    Attributes:
        examples: those whose labels change.
        labels: the new label of each old one.
        part: the part of kind label.
    """

    examples: Examples
    labels: Sequence[int]
    part: str = "label"

    @property
    def spec(self) -> Spec:  # pyright: ignore[reportIncompatibleVariableOverride]
        """See `Examples`."""
        return self.examples.spec

    def __len__(self) -> int:
        return len(self.examples)

    def read(
        self, position: int, generator: np.random.Generator | None = None
    ) -> dict[str, np.ndarray]:
        """See `Examples.read`."""
        parts = self.examples.read(position, generator)
        return {**parts, self.part: self._changed(parts[self.part])}

    def column(self, part: str) -> np.ndarray:
        """See `Examples.column`."""
        values = self.examples.column(part)
        return self._changed(values) if part == self.part else values

    def _changed(self, labels: np.ndarray) -> np.ndarray:
        return np.asarray(self.labels, np.int32)[labels]

    def name(self, position: int) -> str:
        """See `Examples.name`."""
        return self.examples.name(position)

    def identity(self) -> dict[str, Any]:
        """See `Examples.identity`."""
        return {**self.examples.identity(), "labels": list(self.labels)}
