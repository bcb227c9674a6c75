"""Keys of the configuration that the command line sets to none, which no number's flag can be."""

import re
from collections.abc import Sequence
from typing import Any

from cnnjax import recipes

_NONE = ("none", "None")


def split_off(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Returns a command line without `--config.KEY=none`, and these keys.

    Args:
        arguments: the program's name and all that follows it.
    """
    optional = set(recipes.optional_keys())
    rest, unset = [], []
    for number, argument in enumerate(arguments):
        # No flags follow.
        if argument == "--":
            return [*rest, *arguments[number:]], unset
        match = re.fullmatch(r"--?config\.([\w.]+)=(.*)", argument, re.DOTALL)
        if match and match[1] in optional and match[2] in _NONE:
            unset.append(match[1])
        else:
            rest.append(argument)
    return rest, unset


def unset(config: Any, keys: Sequence[str]) -> None:
    """Sets keys of a configuration to None.

    Args:
        config: the configuration.
        keys: dotted keys, each of which may be None.
    """
    for key in keys:
        *sections, name = key.split(".")
        section = config
        for part in sections:
            section = section[part]
        section[name] = None
