"""The common form of an attack: a name, and a function that makes one try."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The result of one call or one damage.

    Attributes:
        held: whether the program did what it promises.
        sentence: what was done, and what came of it.
    """

    held: bool
    sentence: str


@dataclasses.dataclass(frozen=True)
class Attack:
    """One way of attacking.

    Attributes:
        name: for `--only` and the table.
        attempt: a function of a random generator and an empty folder; it returns one outcome or
            several.
        what: what is attacked, for the table.
        prepare: makes what all tries use; None if they need nothing.
    """

    name: str
    attempt: Callable[[np.random.Generator, Path], list[Outcome]]
    what: str
    prepare: Callable[[], object] | None = None


def held(sentence: str) -> list[Outcome]:
    """Returns the outcome of a try that did no harm.

    Args:
        sentence: what was done.
    """
    return [Outcome(True, sentence)]


def failed(sentence: str) -> list[Outcome]:
    """Returns the outcome of a try that found a fault.

    Args:
        sentence: what was done, and what came of it.
    """
    return [Outcome(False, sentence)]
