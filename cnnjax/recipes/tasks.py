"""The task of a configuration, and its settings."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from cnnjax.importing import import_part
from cnnjax.nearest import did_you_mean
from cnnjax.parts import is_path
from cnnjax.recipes.schema import TaskConfig
from cnnjax.tasks.base import Task
from cnnjax.tasks.registry import TASKS
from cnnjax.training.errors import ConfigError

GIVEN_BY_DATA = "class_names"
"""The field of a task that its dataset fills in."""


def task_settings(name: str = "classification") -> dict[str, Any]:
    """Returns the settings of a task, which are keys `task.*` of a configuration, with defaults.

    Args:
        name: a name of the task registry, or a path.

    Returns:
        Defaults by name; None for a setting without default.

    Raises:
        ConfigError: there is no such task, or it is no dataclass.
    """
    return {
        field.name: None if field.default is dataclasses.MISSING else field.default
        for field in _fields(name)
    }


def _fields(name: str) -> list[dataclasses.Field[Any]]:
    kind = task_class(name)
    return [field for field in dataclasses.fields(kind) if field.name != GIVEN_BY_DATA]


def task_class(name: str) -> Any:
    """Returns the class of a task.

    Args:
        name: a name of the task registry, or a path.

    Raises:
        ConfigError: there is no such name or path, or it is not a task.
    """
    try:
        kind = TASKS.get(name)
    except ValueError as error:
        raise ConfigError(f"config.task.name: {error}") from None
    if not (isinstance(kind, type) and issubclass(kind, Task) and dataclasses.is_dataclass(kind)):
        raise ConfigError(
            f"config.task.name: {name} is no task; give a dataclass derived from cnnjax.tasks.Task"
        )
    return kind


def complete_task(config: TaskConfig) -> TaskConfig:
    """Returns the section `task` with all settings: those that are not given have their defaults.

    Every configuration file starts with the settings of the default task. Where the task is
    another one, they are left out, if they have their defaults.

    Args:
        config: the section.

    Raises:
        ConfigError: a setting is unknown, or one without default is missing.
    """
    known = task_settings(config.name)
    # Every file states them: a default there is not a choice of the user's.
    other = task_settings() if config.name != TaskConfig().name else {}
    given = {
        name: value
        for name, value in config.settings.items()
        if name in known or name not in other or value != other[name]
    }
    for name in given:
        if name not in known:
            hint = did_you_mean(name, known) or (
                f"known: {', '.join(f'config.task.{key}' for key in known)}"
                if known
                else "this task has no settings"
            )
            raise ConfigError(f"config.task.{name} is unknown; {hint.strip()}")
    missing = [
        field.name
        for field in _fields(config.name)
        if field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
        and field.name not in given
    ]
    if missing:
        raise ConfigError(f"config.task.{missing[0]}: it has no default; give a value")
    return TaskConfig(name=config.name, **{**known, **given})


def make_task(config: TaskConfig, class_names: Sequence[str]) -> Task:
    """Returns the task of a configuration.

    Args:
        config: the configuration's section `task`.
        class_names: a name for each label of the dataset, for tasks with a field `class_names`.

    Raises:
        ConfigError: the task is unknown, or refuses its settings.
    """
    kind = task_class(config.name)
    # A text such as "my_package.losses:mine" is the path of a function.
    settings = {
        name: import_part(f"config.task.{name}", value)
        if isinstance(value, str) and is_path(value)
        else value
        for name, value in complete_task(config).settings.items()
    }
    if any(field.name == GIVEN_BY_DATA for field in dataclasses.fields(kind)):
        settings[GIVEN_BY_DATA] = tuple(class_names)
    try:
        return kind(**settings)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"config.task: {error}") from error
