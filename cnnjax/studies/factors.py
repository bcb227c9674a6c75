"""Factors of a study: named lists of changes to its base configuration."""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from cnnjax.training.errors import ConfigError

Changes = Mapping[str, Any]
"""Values by dotted keys of the configuration, such as {"optimizer.learning_rate": 0.05}."""

SEED = "seed"
"""The key whose change is added to each of the study's seeds, and no factor's name."""

_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]*")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


class Row(NamedTuple):
    """One setting of some factors.

    Attributes:
        labels: the label of each factor, by the factor's name.
        changes: what it changes in the base configuration.
    """

    labels: dict[str, str]
    changes: dict[str, Any]


@dataclass(frozen=True)
class Factor:
    """A named list of changes; a study runs each of them.

    Attributes:
        name: a word, such as "depth".
        levels: changes by label, such as {"small": {"data.batch_size": 32}}; of factors that are
            walked in step, where labels may repeat, pairs of a label and its changes. A label is
            text or a number; it becomes part of a folder's name.

    Raises:
        ConfigError: a name or label cannot be used, or there are no levels.
    """

    name: str
    levels: Mapping[Any, Changes] | Sequence[tuple[Any, Changes]]

    def __post_init__(self) -> None:
        """Refuses what cannot be part of a run's name."""
        check_name("factors", "a factor's name", self.name)
        if not self.levels:
            raise ConfigError(f"study.factors.{self.name}: it has no levels; give at least one")
        for label, changes in self._pairs():
            if not _LABEL.fullmatch(str(label)):
                raise ConfigError(
                    f"study.factors.{self.name}: {label!r} cannot be a label; give letters, "
                    "digits, '.', '+' and '-'"
                )
            check_changes(f"factors.{self.name}", f"the level {label!r}", changes)

    def _pairs(self) -> list[tuple[Any, Changes]]:
        if isinstance(self.levels, Mapping):
            return list(self.levels.items())
        pairs = list(self.levels)
        if not all(isinstance(pair, tuple) and len(pair) == 2 for pair in pairs):
            raise ConfigError(
                f"study.factors.{self.name}: {pairs!r:.60} was given; give a mapping of labels to "
                "changes, or pairs of a label and its changes"
            )
        return pairs

    def rows(self) -> list[Row]:
        """Returns the levels in their order."""
        return [Row({self.name: str(label)}, dict(changes)) for label, changes in self._pairs()]

    @property
    def names(self) -> tuple[str, ...]:
        """The factor's name, alone."""
        return (self.name,)


def check_name(where: str, what: str, name: Any) -> None:
    """Refuses a name that cannot be part of the name of a run.

    Args:
        where: the field of a study that has it.
        what: what it names.
        name: the name.

    Raises:
        ConfigError: it has other characters than letters, digits and _.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name == SEED:
        raise ConfigError(
            f"study.{where}: {name!r} cannot be {what}; give letters, digits and _, such as "
            f"'depth' ({SEED!r} is taken)"
        )


def check_changes(where: str, what: str, changes: Any) -> None:
    """Refuses changes that are none.

    Args:
        where: the field of a study that has them.
        what: what has them, for a message.
        changes: values by dotted key.

    Raises:
        ConfigError: they are no mapping of text to values.
    """
    if not isinstance(changes, Mapping) or not all(isinstance(key, str) for key in changes):
        raise ConfigError(
            f"study.{where}: {what} has {changes!r:.60}; give its changes, such as "
            '{"optimizer.learning_rate": 0.05}, or {} for none'
        )


@dataclass(frozen=True)
class Paired:
    """Factors that are walked in step: the first levels of all, then the second ones, and so on.

    Attributes:
        factors: the factors, with equally many levels.

    Raises:
        ConfigError: there are fewer than two factors, or their lengths differ.

    Example:
        >>> kind = Factor("kind", [("plain", {}), ("resnet", {})])
        >>> network = [(20, {"model.name": f"{name}20_cifar"}) for name in ("plain", "resnet")]
        >>> for row in Paired([kind, Factor("depth", network)]).rows():
        ...     print(row.labels, row.changes)
        {'kind': 'plain', 'depth': '20'} {'model.name': 'plain20_cifar'}
        {'kind': 'resnet', 'depth': '20'} {'model.name': 'resnet20_cifar'}
    """

    factors: Sequence[Factor]

    def __post_init__(self) -> None:
        """Refuses factors of different lengths."""
        lengths = {factor.name: len(factor.rows()) for factor in self.factors}
        if len(self.factors) < 2 or len(set(lengths.values())) > 1:
            raise ConfigError(
                f"study.factors: {lengths} levels were paired; give two factors or more, with "
                "equally many levels"
            )

    def rows(self) -> list[Row]:
        """Returns the pairs of levels in their order."""
        return [merge(rows) for rows in zip(*(f.rows() for f in self.factors), strict=True)]

    @property
    def names(self) -> tuple[str, ...]:
        """The factors' names."""
        return tuple(factor.name for factor in self.factors)


def grid(factors: Sequence[Factor | Paired]) -> Iterator[Row]:
    """Yields every combination of the factors' rows; the last factor changes fastest.

    Args:
        factors: the factors; none give one row without labels.

    Raises:
        ConfigError: two factors change one key.
    """
    for rows in itertools.product(*(factor.rows() for factor in factors)):
        yield merge(rows)


def merge(rows: Sequence[Row]) -> Row:
    """Returns rows of several factors as one.

    Args:
        rows: a row of each factor.

    Raises:
        ConfigError: two of them change one key.
    """
    labels: dict[str, str] = {}
    changes: dict[str, Any] = {}
    for row in rows:
        if both := [key for key in row.changes if key in changes]:
            raise ConfigError(
                f"study.factors: {both[0]} is changed by {' and by '.join([*labels, *row.labels])}"
                "; let one factor change it"
            )
        labels |= row.labels
        changes |= row.changes
    return Row(labels, changes)
