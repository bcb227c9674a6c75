"""Whether a run's examples are examples."""

from collections.abc import Mapping
from typing import Any

from cnnjax import data
from cnnjax.data.part_checks import RESERVED
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
    if isinstance(train, Mapping):
        _check_names(train)


def _check_names(streams: Mapping[Any, data.Stream]) -> None:
    """Refuses names under which a batch has something else than a stream."""
    first, *others = streams.items()
    taken = {*first[1].examples.spec, *(first[1].views or ()), *RESERVED}
    for name in streams:
        if not isinstance(name, str):
            raise ConfigError(f"train: the stream's name {name!r} is no string; give one")
    for name, _ in others:
        if name in taken:
            raise ConfigError(
                f"train: a batch has {name!r} already, of the first stream {first[0]!r}; give the "
                f"stream {name!r} another name"
            )


def _check_type(name: str, value: Any, allowed: tuple[type, ...]) -> None:
    if not isinstance(value, allowed):
        raise ConfigError(
            f"{name}: {type(value).__name__} was given; give examples, such as "
            "cnnjax.data.from_arrays(image=x, label=y)"
        )
