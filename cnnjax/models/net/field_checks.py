"""The values that the fields of a network may have."""

from typing import Any

import jax.numpy as jnp

from cnnjax.models.initializers import SCHEMES


def check_fields(net: Any) -> None:
    """Checks the values of a network's fields.

    Args:
        net: a `Net`.

    Raises:
        ValueError: a value is not allowed; the message names the field and the allowed values.
    """
    name = type(net).__name__
    choices = {"backward": ("ours", "native"), "initialization": ("paper", *SCHEMES)}
    for field, allowed in {**choices, **net.field_choices()}.items():
        value = getattr(net, field)
        if value not in allowed:
            raise ValueError(f"{name}: {field} must be one of {allowed}, got {value!r}")
    for field in ("num_classes", *net.counts):
        net.check_values(field, _is_count, "an int of at least 1")
    for field in net.rates:
        net.check_values(field, _is_rate, "a number from 0 to 1")
    lengths = {field: len(getattr(net, field)) for field in net.per_stage}
    if len(set(lengths.values())) > 1:
        given = ", ".join(f"{field}={getattr(net, field)!r}" for field in lengths)
        raise ValueError(
            f"{name}: {' and '.join(lengths)} must have as many entries, one for each stage, got "
            f"{given}"
        )
    if net.dtype is not None and not jnp.issubdtype(net.dtype, jnp.floating):
        raise ValueError(
            f"{name}: dtype must be a floating one, such as jnp.bfloat16, got {net.dtype!r}"
        )


def _is_count(value: Any) -> bool:
    """Returns whether a value is an int of at least 1."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_rate(value: Any) -> bool:
    """Returns whether a value is a number from 0 to 1."""
    return isinstance(value, int | float) and 0 <= value <= 1
