"""The schema of a run's configuration: every key, its type, its default and its range.

Configurations are written as `ml_collections.ConfigDict` files under `experiments/configs/` and
checked here before anything is built.
"""

import difflib
from collections.abc import Mapping
from typing import Any, Literal

import pydantic
from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder
from pydantic import Field

from cnnjax.training.errors import ConfigError


class _Section(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, protected_namespaces=()
    )


class ModelConfig(_Section):
    """Which network: a name of the model registry, and changes to its fields."""

    name: str = "lenet5"
    overrides: dict[str, Any] = {}


class DataConfig(_Section):
    """Which images, and what is done to them on their way to the network.

    `validation_examples` of the training split are held out and evaluated in place of the test
    split: the way to choose hyper-parameters without the test split having a say.
    """

    name: str = "digits"
    batch_size: int = Field(default=128, ge=1)
    resize: int | None = Field(default=None, ge=1)
    pad: int = Field(default=0, ge=0)
    augmentation: str = ""
    validation_examples: int = Field(default=0, ge=0)


class OptimizerConfig(_Section):
    """The update rule; weight decay acts on kernels alone, not on biases and norms."""

    name: Literal["sgd", "adam", "adamw"] = "sgd"
    learning_rate: float = Field(default=0.1, gt=0)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    nesterov: bool = False
    weight_decay: float = Field(default=0.0, ge=0)


class ScheduleConfig(_Section):
    """How the learning rate moves over the run's steps.

    `final_factor` is the last rate of the cosine schedule as a share of the peak rate.
    """

    name: Literal["constant", "cosine"] = "constant"
    warmup_epochs: float = Field(default=0.0, ge=0)
    final_factor: float = Field(default=0.0, ge=0, le=1)


class RunConfig(_Section):
    """A whole run: together these keys are its identity."""

    model: ModelConfig = ModelConfig()
    data: DataConfig = DataConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    epochs: int = Field(default=10, ge=1)
    seed: int = Field(default=0, ge=0, lt=2**32)


def default_config() -> ConfigDict:
    """Returns the defaults as an `ml_collections.ConfigDict`, which configuration files change.

    It is locked: setting a key that does not exist raises.
    """
    config: Any = ConfigDict(RunConfig().model_dump())
    # ConfigDict fixes a field's type by its first value, which None does not tell.
    config.data.resize = placeholder(int)
    return config.lock()


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
    nearest = homonyms or difflib.get_close_matches(path, known, n=1, cutoff=0.8)
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
