"""Configurations of runs: defaults, checks, and the nearest key to a mistyped one.

They are written as `ml_collections.ConfigDict` files under `experiments/configs/` and checked
against `schema` before anything is built.
"""

import typing
from collections.abc import Mapping
from typing import Any

import pydantic
from ml_collections import ConfigDict
from ml_collections.config_dict import FieldReference, placeholder

from cnnjax.nearest import nearest_names
from cnnjax.recipes.schema import DataConfig, RunConfig
from cnnjax.training.errors import ConfigError


def default_config() -> ConfigDict:
    """Returns the defaults as an `ml_collections.ConfigDict`, which configuration files change.

    They are those of `RunConfig()`, which runs. How it frames the default dataset's images is not
    passed on to another one: where `data.name` is changed, the other keys of `data` that are not
    set have the defaults of `DataConfig`. The ConfigDict is locked: setting a key that does not
    exist raises.
    """
    config = ConfigDict(RunConfig().model_dump())
    _place_types(config, RunConfig)
    _bind_to_dataset(config.data)
    return config.lock()


class _OfDataset(FieldReference):
    """A value that holds as long as `data.name` is the default one, or until it is set."""

    def __init__(self, name: FieldReference, value: Any, otherwise: Any):
        super().__init__(value, field_type=type(value))
        self._dataset, self._default, self._otherwise = name, name.get(), otherwise
        self._given = False

    def get(self) -> Any:
        """Returns what was set, or what is the default for the dataset."""
        if self._given or self._dataset.get() == self._default:
            return super().get()
        return self._otherwise

    def set(self, value: Any, type_safe: bool = True) -> None:
        """Sets the value, for any dataset."""
        super().set(value, type_safe)
        self._given = True

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)


def _bind_to_dataset(section: Any) -> None:
    name = section.get_ref("name")
    for key, value in RunConfig().data.model_dump().items():
        otherwise = DataConfig.model_fields[key].default
        if value != otherwise:
            section[key] = _OfDataset(name, value, otherwise)


def _place_types(config: Any, section: type[pydantic.BaseModel]) -> None:
    """Gives every key whose default is None its type, which ConfigDict takes from the value."""
    for name, field in section.model_fields.items():
        if isinstance(field.default, pydantic.BaseModel):
            _place_types(config[name], type(field.default))
        elif field.default is None:
            kind = typing.get_args(field.annotation)[0]
            config[name] = placeholder(kind if isinstance(kind, type) else str)  # str: Literal


def parse_config(values: Mapping[str, Any]) -> RunConfig:
    """Checks nested settings against the schema; keys that are not given keep their defaults.

    Raises:
        ConfigError: keys are unknown (with the nearest known one), or values have the wrong type or
            lie out of range; all of them are named.
    """
    try:
        return RunConfig.model_validate(dict(values))
    except pydantic.ValidationError as error:
        problems = [_describe(detail) for detail in error.errors()]
        raise ConfigError("\n".join(f"config.{problem}" for problem in problems)) from None


def _describe(detail: Any) -> str:
    path = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        return f"{path} is unknown; {nearest_key(path)}"
    message = detail["msg"][0].lower() + detail["msg"][1:]
    return f"{path}: {detail['input']!r} was given; {message}"


def nearest_key(path: str) -> str:
    """Says which known key comes nearest to an unknown dotted one."""
    known = known_keys()
    section, _, last = path.rpartition(".")
    # The right name in the wrong section, or a slip of the pen.
    homonyms = [key for key in known if key.rpartition(".")[2] == last]
    nearest = homonyms or [
        key
        for key in nearest_names(path, known, likeness=0.8)
        # A long section in common makes paths alike whose last names are not.
        if nearest_names(last, [key.rpartition(".")[2]], likeness=0.6)
    ]
    if nearest:
        return f"did you mean config.{nearest[0]}?"
    siblings = [key for key in known if key.rpartition(".")[0] == section] or known
    return f"known: {', '.join(f'config.{key}' for key in siblings)}"


def known_keys(section: type[pydantic.BaseModel] = RunConfig, prefix: str = "") -> list[str]:
    """Returns every dotted key of the schema, in its order."""
    keys = []
    for name, field in section.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, pydantic.BaseModel):
            keys += known_keys(inner, f"{prefix}{name}.")
        else:
            keys.append(prefix + name)
    return keys
