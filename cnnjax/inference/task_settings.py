"""Networks that are evaluated with other settings of their task than they were trained with."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from cnnjax.inference.ensemble import Ensemble
from cnnjax.training.errors import ConfigError


def with_task(ensemble: Ensemble, **settings: Any) -> Ensemble:
    """Returns the networks with other settings of their task, such as `class_tree="wordnet"`.

    Args:
        ensemble: the networks.
        **settings: values for fields of the task.

    Raises:
        ConfigError: the task has no such field, or refuses the value.
    """
    for member in ensemble.members:
        _check_settings(member.task, settings)
    try:
        members = [
            dataclasses.replace(member, task=_replaced(member.task, settings))
            for member in ensemble.members
        ]
    except ValueError as error:
        raise ConfigError(str(error)) from error
    return Ensemble(tuple(members), ensemble.views)


def _check_settings(task: Any, settings: Mapping[str, Any]) -> None:
    # A task without settings need not be a dataclass.
    known = (
        [field.name for field in dataclasses.fields(task)] if dataclasses.is_dataclass(task) else []
    )
    for name in settings:
        if name not in known:
            raise ConfigError(
                f"{name}: {type(task).__name__} has no such setting; it has "
                f"{', '.join(known) or 'none'}"
            )


def _replaced(task: Any, settings: Mapping[str, Any]) -> Any:
    return dataclasses.replace(task, **settings)
