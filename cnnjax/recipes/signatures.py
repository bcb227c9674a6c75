"""The arguments of a user's own function, and whether a configuration's options fit them."""

import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any

from cnnjax.nearest import did_you_mean


def keyword_defaults(function: Callable[..., Any], positional: int) -> dict[str, Any] | None:
    """Returns the arguments that a function takes by name, with their defaults.

    Args:
        function: any callable.
        positional: number of first arguments to leave out, which are given by place.

    Returns:
        Defaults by name, `inspect.Parameter.empty` for arguments without default; None if the
        function takes arguments of any name.
    """
    parameters = list(inspect.signature(function).parameters.values())
    # With `**options`, any name may be right: the function itself has to check it.
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {p.name: p.default for p in parameters[positional:] if p.kind in by_name}


def check_options(
    section: str,
    name: str,
    options: Mapping[str, Any],
    takes: Collection[str] | None,
    keys: Mapping[str, str],
) -> None:
    """Refuses options that a part doesn't take, or that have a key of their own.

    Args:
        section: the section's name in the configuration, such as "optimizer".
        name: the part's name, such as "adam".
        options: the section's `options`.
        takes: names of the arguments that the part takes; None for any.
        keys: arguments that a key of the configuration sets, with that key.

    Raises:
        ValueError: there is such an option; the message names the first one and those allowed.
    """
    for option in options:
        if option in keys:
            raise ValueError(
                f"{section}.options.{option}: {name}'s {option} has a key of its own; set "
                f"{section}.{keys[option]}"
            )
        if takes is not None and option not in takes:
            allowed = sorted(set(takes) - set(keys))
            raise ValueError(
                f"{section}.options.{option}: {name} takes no {option}; "
                f"{did_you_mean(option, allowed)}allowed: {', '.join(allowed) or 'none'}"
            )
