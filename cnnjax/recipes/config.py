"""Configurations of runs: defaults, checks, and the nearest key to a mistyped one.

They are written as `ml_collections.ConfigDict` files, as in `cnnjax/configurations`, and checked
against `schema` before anything is built.
"""

import typing
from collections.abc import Mapping
from typing import Any

from cnnjax.extras import installed_with
from cnnjax.nearest import nearest_names
from cnnjax.recipes.schema import RunConfig, TaskConfig
from cnnjax.recipes.tasks import complete_task, task_settings
from cnnjax.training.errors import ConfigError

with installed_with("train"):
    import pydantic
    from ml_collections import ConfigDict
    from ml_collections.config_dict import placeholder


def default_config() -> ConfigDict:
    """Returns the defaults as an `ml_collections.ConfigDict`, which configuration files change.

    They run as they are. The ConfigDict is locked: setting a key that does not exist raises.
    """
    config = ConfigDict(parse_config({}).model_dump())
    _place_types(config, RunConfig)
    return config.lock()


def task_section(name: str, **settings: Any) -> ConfigDict:
    """Returns the section `task` of a configuration for another task than the default one.

    Args:
        name: a name of the task registry, or a path such as "my_package.tasks:Depth".
        **settings: the settings that differ from the task's defaults.

    Raises:
        ConfigError: the task or a setting is unknown, or a setting without default is missing.
    """
    return ConfigDict(complete_task(TaskConfig(name=name, **settings)).model_dump())


def _place_types(config: Any, section: type[pydantic.BaseModel]) -> None:
    """Gives every key whose default is None a type, which ConfigDict takes from other values."""
    for name, field in section.model_fields.items():
        if isinstance(field.default, pydantic.BaseModel):
            _place_types(config[name], type(field.default))
        elif field.default is None:
            kind = typing.get_args(field.annotation)[0]
            config[name] = placeholder(kind if isinstance(kind, type) else str)  # str: Literal


def parse_config(values: Mapping[str, Any] | ConfigDict | RunConfig) -> RunConfig:
    """Returns the checked configuration; keys that are not given have their defaults.

    Args:
        values: nested mappings, a `ConfigDict`, or a checked configuration, which is returned.

    Raises:
        ConfigError: keys are unknown, or values have the wrong type or are out of range. The
            message names all of them, and the nearest known key for each unknown one.
    """
    if isinstance(values, RunConfig):
        return values
    plain = values.to_dict() if isinstance(values, ConfigDict) else dict(values)
    try:
        config = RunConfig.model_validate(plain)
    except pydantic.ValidationError as error:
        problems = [_describe(detail) for detail in error.errors()]
        raise ConfigError("\n".join(f"config.{problem}" for problem in problems)) from None
    return config.model_copy(update={"task": complete_task(config.task)})


def _describe(detail: Any) -> str:
    path = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        return f"{path} is unknown; {nearest_key(path)}"
    if detail["type"] == "value_error":  # cnnjax's own message, which names the value
        return f"{path}: {detail['ctx']['error']}"
    message = detail["msg"][0].lower() + detail["msg"][1:]
    return f"{path}: {detail['input']!r} was given; {message}"


def nearest_key(path: str) -> str:
    """Returns a hint for an error message: the nearest known key, or the keys of the section.

    Args:
        path: an unknown dotted key, such as "optimizer.lr".
    """
    known = known_keys()
    section, _, last = path.rpartition(".")
    # The right name in the wrong section comes first, then a misspelled name.
    homonyms = [key for key in known if key.rpartition(".")[2] == last]
    nearest = homonyms or [
        key
        for key in nearest_names(path, known, likeness=0.8)
        # With a long common section, paths are alike although their last names are not.
        if nearest_names(last, [key.rpartition(".")[2]], likeness=0.6)
    ]
    if nearest:
        return f"did you mean config.{nearest[0]}?"
    # Nothing is near: the keys of the same section are the best hint.
    siblings = [key for key in known if key.rpartition(".")[0] == section] or known
    return f"known: {', '.join(f'config.{key}' for key in siblings)}"


def optional_keys(section: type[pydantic.BaseModel] = RunConfig, prefix: str = "") -> list[str]:
    """Returns the dotted keys that may be None.

    Args:
        section: the part of the schema to list.
        prefix: put before each key, such as "optimizer.".
    """
    keys = []
    for name, field in section.model_fields.items():
        if isinstance(field.default, pydantic.BaseModel):
            keys += optional_keys(type(field.default), f"{prefix}{name}.")
        elif type(None) in typing.get_args(field.annotation):
            keys.append(f"{prefix}{name}")
    return keys


def known_keys(section: type[pydantic.BaseModel] = RunConfig, prefix: str = "") -> list[str]:
    """Returns every dotted key of the schema, in its order.

    Args:
        section: the part of the schema to list.
        prefix: put before each key, such as "optimizer.".
    """
    keys = []
    for name, field in section.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, pydantic.BaseModel):
            keys += known_keys(inner, f"{prefix}{name}.")
            # The default task's settings are no fields of the schema.
            if inner is TaskConfig:
                keys += [f"{prefix}{name}.{setting}" for setting in task_settings()]
        else:
            keys.append(prefix + name)
    return keys
