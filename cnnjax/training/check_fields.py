"""Whether the fields of a run have values of which a run can be made."""

import numbers
from typing import Any

import flax.linen as linen
import optax

from cnnjax import data
from cnnjax.tasks.base import Task
from cnnjax.training.devices.scope import BatchNormScope
from cnnjax.training.errors import ConfigError

_COUNTS = ("epochs", "batch_size", "accumulate")
_PATTERNS = ("frozen", "unfreeze")

WHOLE = (*_COUNTS, "seed")
"""The fields that are whole numbers."""

_TYPES: dict[str, tuple[type, str]] = {
    "model": (
        linen.Module,
        "a flax.linen module, such as cnnjax.models.create_model returns",
    ),
    "task": (Task, "a task, one of cnnjax.tasks or derived from tasks.Task"),
    "preprocess": (data.Preprocess, "a data.Preprocess, or leave it out"),
    "batch_norm": (BatchNormScope, "a training.BatchNormScope, or leave it out"),
}
"""By field: its type, and what to give."""


def check_fields(run: Any) -> None:
    """Refuses values of another type or out of range.

    Args:
        run: the run, or something with its fields.

    Raises:
        ConfigError: a value is refused; the message names the field, the value and what to give.
    """
    for name in _COUNTS:
        if not is_whole(value := getattr(run, name)) or value < 1:
            raise ConfigError(f"{name}: {value!r} was given; give a whole number from 1 on")
    if not is_whole(run.seed) or not 0 <= run.seed < 2**32:
        raise ConfigError(
            f"seed: {run.seed!r} was given; give a whole number from 0 on, below 2**32"
        )
    if not isinstance(run.ema_decay, int | float) or not 0 <= run.ema_decay < 1:
        raise ConfigError(f"ema_decay: {run.ema_decay!r} was given; give 0 or more, below 1")
    if run.total_epochs is not None and run.total_epochs < run.epochs:
        raise ConfigError(
            f"extend_to: {run.total_epochs} epochs are fewer than the run's {run.epochs}"
        )
    for name, (kind, remedy) in _TYPES.items():
        if not isinstance(value := getattr(run, name), kind):
            raise ConfigError(f"{name}: {type(value).__name__} was given; give {remedy}")
    for name in _PATTERNS:
        if isinstance(value := getattr(run, name), str):
            raise ConfigError(
                f"{name}: the string {value!r} was given; give a sequence, such as [{value!r}]"
            )
    if run.schedule is not None and not callable(run.schedule):
        raise ConfigError(
            f"schedule: {run.schedule!r} was given; give a function of the step, such as "
            "optax.constant_schedule(0.1)"
        )
    if not isinstance(run.optimizer, optax.GradientTransformation) and not callable(run.optimizer):
        raise ConfigError(f"optimizer: {no_transformation(run.optimizer)}")


def no_transformation(value: Any) -> str:
    """Returns what is wrong with an optimizer that is no transformation, and what to give.

    Args:
        value: what was given.
    """
    own = getattr(value, "gradient_transformation", None)
    remedy = "its .gradient_transformation()" if callable(own) else "such as optax.sgd(0.1)"
    return f"{type(value).__name__} was given; give an optax transformation, {remedy}"


def is_whole(value: Any) -> bool:
    """Returns whether a value is a whole number, NumPy's included.

    Args:
        value: anything.
    """
    # To Python True is a whole number.
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)
