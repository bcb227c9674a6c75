"""The distributions that settings are drawn from, and the drawing."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnjax.studies.search.optuna_package import load_optuna
from cnnjax.training.errors import ConfigError


@dataclass(frozen=True)
class Uniform:
    """Numbers from `low` to `high`, all equally likely.

    Attributes:
        low: the smallest one.
        high: the largest one.

    Raises:
        ConfigError: these are no numbers, or not in this order.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        """Refuses what is no range."""
        _check_range(self, (int, float))

    def ends(self) -> list[Any]:
        """Returns the values to check: if these fit the configuration, all do."""
        return [float(self.low), float(self.high)]

    def distribution(self) -> Any:
        """Returns Optuna's distribution."""
        return load_optuna().distributions.FloatDistribution(float(self.low), float(self.high))

    def decode(self, drawn: Any) -> Any:
        """Returns the configuration's value for what Optuna has drawn.

        Args:
            drawn: what it has drawn.
        """
        return drawn


@dataclass(frozen=True)
class LogUniform(Uniform):
    """Numbers from `low` to `high` whose logarithms are all equally likely: of learning rates.

    Attributes:
        low: the smallest one, above 0.
        high: the largest one.
    """

    def __post_init__(self) -> None:
        """Refuses what is no range of positive numbers."""
        super().__post_init__()
        _check_positive(self)

    def distribution(self) -> Any:
        """Returns Optuna's distribution."""
        return load_optuna().distributions.FloatDistribution(
            float(self.low), float(self.high), log=True
        )


@dataclass(frozen=True)
class Integers:
    """Whole numbers from `low` to and with `high`.

    Attributes:
        low: the smallest one.
        high: the largest one.
        log: whether their logarithms are equally likely, instead of the numbers.

    Raises:
        ConfigError: these are no whole numbers, or not in this order.
    """

    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        """Refuses what is no range of whole numbers."""
        _check_range(self, (int,))
        if self.log:
            _check_positive(self)

    def ends(self) -> list[Any]:
        """Returns the values to check: if these fit the configuration, all do."""
        return [self.low, self.high]

    def distribution(self) -> Any:
        """Returns Optuna's distribution."""
        return load_optuna().distributions.IntDistribution(self.low, self.high, log=self.log)

    def decode(self, drawn: Any) -> Any:
        """Returns the configuration's value for what Optuna has drawn.

        Args:
            drawn: what it has drawn.
        """
        return drawn


@dataclass(frozen=True)
class Choices:
    """Some values, all equally likely.

    Attributes:
        values: what JSON has: text, numbers, True, False, None, and sequences and tables of these.

    Raises:
        ConfigError: there are fewer than two, or one is there twice or is none of these.
    """

    values: Sequence[Any]

    def __post_init__(self) -> None:
        """Refuses what offers no choice."""
        # A text is a sequence too, of letters.
        if isinstance(self.values, str) or not isinstance(self.values, Sequence):
            raise ConfigError(f"search.space: Choices({self.values!r:.60}): give a list of values")
        try:
            texts = [json.dumps(value) for value in self.values]
        except (TypeError, ValueError):
            raise ConfigError(
                f"search.space: {self!r:.80}: give text, numbers, True, False, None, or lists of "
                "these"
            ) from None
        if len(texts) < 2 or len(set(texts)) < len(texts):
            raise ConfigError(f"search.space: {self!r:.80}: give two different values or more")

    def ends(self) -> list[Any]:
        """Returns the values to check: all of them."""
        return list(self.values)

    def distribution(self) -> Any:
        """Returns Optuna's distribution."""
        return load_optuna().distributions.CategoricalDistribution(
            [_encoded(value) for value in self.values]
        )

    def decode(self, drawn: Any) -> Any:
        """Returns the configuration's value for what Optuna has drawn.

        Args:
            drawn: what it has drawn.
        """
        # 1 and True are equal in Python, and not in a configuration.
        texts = {json.dumps(_encoded(value)): value for value in self.values}
        return texts[json.dumps(drawn)]


Distribution = Uniform | LogUniform | Integers | Choices
"""What a setting is drawn from."""


def draw(space: Mapping[str, Distribution], seed: int, number: int) -> dict[str, Any]:
    """Returns the settings of a trial, in Optuna's form; they depend on seed and number alone.

    Args:
        space: distributions by key.
        seed: that of the search.
        number: that of the trial, from 0.
    """
    optuna = load_optuna()
    # Neighboring seeds and numbers give unrelated settings.
    mixed = np.random.SeedSequence([seed, number]).generate_state(1)[0]
    sampler = optuna.samplers.RandomSampler(seed=int(mixed))
    return optuna.create_study(sampler=sampler).ask(distributions(space)).params


def distributions(space: Mapping[str, Distribution]) -> dict[str, Any]:
    """Returns Optuna's distributions by key.

    Args:
        space: ours.
    """
    return {key: space[key].distribution() for key in space}


def decoded(space: Mapping[str, Distribution], drawn: Mapping[str, Any]) -> dict[str, Any]:
    """Returns values of the configuration by key.

    Args:
        space: distributions by key.
        drawn: what Optuna has drawn of each.
    """
    return {key: space[key].decode(drawn[key]) for key in space}


def described(distribution: Distribution) -> str:
    """Returns a distribution as text, such as "LogUniform(0.001, 0.1)".

    Args:
        distribution: which one.
    """
    values = vars(distribution).items()
    parts = [repr(value) if key != "log" else f"log={value}" for key, value in values]
    return f"{type(distribution).__name__}({', '.join(parts)})"


def _encoded(value: Any) -> Any:
    """Returns a value as Optuna keeps it: it has no sequences."""
    return (
        value
        if value is None or isinstance(value, bool | int | float | str)
        else (json.dumps(value))
    )


def _check_range(given: Any, kinds: tuple[type, ...]) -> None:
    number = "whole numbers" if kinds == (int,) else "numbers"
    ends = (given.low, given.high)
    if any(isinstance(end, bool) or not isinstance(end, kinds) for end in ends) or not all(
        map(math.isfinite, ends)
    ):
        raise ConfigError(f"search.space: {described(given)}: give two {number}")
    if given.low >= given.high:
        raise ConfigError(
            f"search.space: {described(given)}: the first number must be the smaller one"
        )


def _check_positive(given: Any) -> None:
    if given.low <= 0:
        raise ConfigError(f"search.space: {described(given)}: logarithms need a range above 0")
