"""Checks of a run's rules that need no parameters."""

from typing import Any

from cnnjax.training.errors import ConfigError


def check_unfreeze(rules: Any, epochs: int) -> None:
    """Refuses rules for gradual unfreezing that cannot be meant.

    Args:
        rules: pairs of a pattern and an epoch.
        epochs: the run's.

    Raises:
        ConfigError: a rule is no such pair, or its epoch lies outside of the run.
    """
    for rule in rules:
        pattern, start = rule if isinstance(rule, tuple | list) and len(rule) == 2 else (rule, None)
        if not isinstance(pattern, str) or not isinstance(start, int) or isinstance(start, bool):
            raise ConfigError(
                f"unfreeze: {rule!r} was given; give pairs of a pattern and the number of epochs "
                'before its parameters are trained, such as ("stage3.*", 2)'
            )
        if not 0 <= start < epochs:
            raise ConfigError(
                f"unfreeze: {pattern!r} is trained from epoch {start} on, of a run of {epochs}; "
                "give 0 or more and less than the run's epochs, or freeze it for good with frozen"
            )
