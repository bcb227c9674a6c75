"""Whether a run's examples are examples."""

from collections.abc import Mapping
from typing import Any

from cnnjax import data
from cnnjax.training.errors import ConfigError


def check_examples(train: Any, test: Any) -> None:
    """Refuses what is no examples and no stream of them.

    Args:
        train: what a run is given to train on.
        test: what it is given to evaluate; None for nothing.

    Raises:
        ConfigError: one of them is of another type; the message names what is expected.
    """
    _check_type("train", train, (data.Examples, data.Stream, Mapping))
    if test is not None:
        _check_type("test", test, (data.Examples,))
    if isinstance(train, Mapping) and not (
        train and all(isinstance(stream, data.Stream) for stream in train.values())
    ):
        raise ConfigError("train: of several streams, give a mapping of names to data.Stream")


def _check_type(name: str, value: Any, allowed: tuple[type, ...]) -> None:
    if not isinstance(value, allowed):
        raise ConfigError(
            f"{name}: {type(value).__name__} was given; give examples, such as "
            "cnnjax.data.from_arrays(image=x, label=y)"
        )
