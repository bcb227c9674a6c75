"""Runs that are trained once for each seed, before the runs of a study that start from them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cnnjax.studies.factors import Changes, check_changes, check_name

PREFIX = "source:"
"""Of a value of `model.weights` that names a source."""

WEIGHTS_FILE = "weights.safetensors"
"""In the folder of a source that is finished: its variables, as they are evaluated."""


@dataclass(frozen=True)
class SourceRun:
    """A run that others start from, such as the pretraining on another dataset.

    It is trained once for each of the study's seeds, is claimed and resumed as every run, and has
    no part in the study's comparisons.

    Attributes:
        name: a word, such as "near".
        changes: what it changes in the study's base, by dotted key.

    Raises:
        ConfigError: the name or the changes cannot be used.
    """

    name: str
    changes: Changes = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuses what cannot be part of a run's name."""
        check_name("sources", "a source's name", self.name)
        check_changes(f"sources.{self.name}", "the source", self.changes)


class SourceNotFinished(Exception):
    """A run asks for a source that has not been trained yet."""


def source(name: str) -> str:
    """Returns the value of `model.weights` that means the weights of a source.

    Args:
        name: the source's.

    Example:
        >>> source("near")
        'source:near'
    """
    return f"{PREFIX}{name}"


def source_in(weights: Any) -> str | None:
    """Returns the name of the source that a value of `model.weights` means; None for another value.

    Args:
        weights: the value.
    """
    if isinstance(weights, str) and weights.startswith(PREFIX):
        return weights.removeprefix(PREFIX)
    return None


def source_run_name(name: str, seed: int) -> str:
    """Returns the name of a source's run.

    Args:
        name: the source's.
        seed: the study's seed.
    """
    return f"source-{name}_seed-{seed}"


def source_names(sources: Mapping[str, str]) -> str:
    """Returns the names of a study's sources for a message.

    Args:
        sources: runs by the sources' names.
    """
    return f"there are {', '.join(sources)}" if sources else "study.sources has none"
