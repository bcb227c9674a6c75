"""Checks of flags, words, precisions, mapped axes and meshes: kinds of arguments in `table.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax import lax

from cnnjax.ops.checks import given, is_int, is_real

Check = Callable[[str, str, Any], Any]

MODES = {"zeros": "constant", "replicate": "edge", "reflect": "reflect", "circular": "wrap"}
"""NumPy's names of the padding modes."""


def or_none(check: Check) -> Check:
    """Returns a check that admits None as well.

    Args:
        check: of (op, argument, value).
    """
    return lambda op, name, value: None if value is None else check(op, name, value)


def check_flag(op: str, name: str, value: Any) -> None:
    """Raises a TypeError unless the value is True or False.

    Args:
        op: the calling function, for the message.
        name: the argument, for the message.
        value: the argument.
    """
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{op}: {name} must be True or False, got {given(value)}")


def check_mode(op: str, name: str, value: Any) -> None:
    """Raises a ValueError unless the value is a padding mode or a constant to pad with.

    Args:
        op: the calling function, for the message.
        name: the argument, for the message.
        value: the argument.
    """
    if value in MODES if isinstance(value, str) else is_real(value):
        return
    raise ValueError(
        f"{op}: {name} must be one of {', '.join(map(repr, MODES))} or a number to pad with, got "
        f"{given(value)}"
    )


def check_precision(op: str, name: str, value: Any) -> None:
    """Raises a ValueError unless the value is a precision of lax.

    Args:
        op: the calling function, for the message.
        name: the argument, for the message.
        value: the argument.
    """
    kinds = (str, lax.Precision)
    if isinstance(value, tuple) and len(value) == 2:
        # lax takes two words or two members of its enumeration.
        good = any(all(isinstance(v, kind) and _is_precision(v) for v in value) for kind in kinds)
    else:
        good = _is_precision(value)
    if not good:
        raise ValueError(
            f"{op}: {name} must be None, 'default', 'high', 'highest', another precision of "
            f"jax.lax or a pair of them, got {given(value)}"
        )


def check_name(op: str, name: str, value: Any) -> None:
    """Raises an error unless the value is a word.

    Args:
        op: the calling function, for the message.
        name: the argument, for the message.
        value: the argument.
    """
    if not isinstance(value, str) or not value:
        raise TypeError(f"{op}: {name} must be a name, got {given(value)}")


def check_axis_names(op: str, name: str, value: Any) -> None:
    """Raises an error unless the value names mapped axes that exist where the op is called.

    Args:
        op: the calling function, for the message.
        name: the argument, for the message.
        value: the argument, a name or several.
    """
    axes = value if isinstance(value, tuple) else (value,)
    if not axes or not all(isinstance(axis, str) and axis for axis in axes):
        raise TypeError(
            f"{op}: {name} must be the name of a mapped axis or a tuple of names, got "
            f"{given(value)}"
        )
    for axis in axes:
        try:
            lax.axis_size(axis)
        except NameError as error:
            raise ValueError(
                f"{op}: {name} is {value!r}, but no axis {axis!r} is mapped here; call the op "
                f"within jax.vmap, jax.pmap or jax.shard_map with that axis, or pass {name}=None"
            ) from error


def check_axis_groups(op: str, name: str, value: Any) -> None:
    """Raises a ValueError unless the value is a tuple of groups, tuples of indices.

    Args:
        op: the calling function, for the message.
        name: the argument, for the message.
        value: the argument.
    """
    groups = value if isinstance(value, tuple) else ()
    indices = [i for group in groups if isinstance(group, tuple) for i in group]
    if (
        not groups
        or not all(isinstance(group, tuple) and group for group in groups)
        or not all(is_int(i) and i >= 0 for i in indices)
        or len(set(indices)) < len(indices)
    ):
        raise ValueError(
            f"{op}: {name} must be a tuple of tuples of different indices, such as "
            f"((0, 1), (2, 3)), got {given(value)}"
        )


def check_mesh(op: str, name: str, value: Any) -> None:
    """Raises a TypeError unless the value is a mesh of devices.

    Args:
        op: the calling function, for the message.
        name: the argument, for the message.
        value: the argument.
    """
    if not isinstance(value, jax.sharding.Mesh | jax.sharding.AbstractMesh):
        raise TypeError(f"{op}: {name} must be a mesh, as from jax.make_mesh, got {given(value)}")


def _is_precision(value: Any) -> bool:
    if value is None or isinstance(
        value, lax.Precision | lax.DotAlgorithm | lax.DotAlgorithmPreset
    ):
        return True
    if not isinstance(value, str):
        return False
    try:
        lax.Precision(value)
    except ValueError:
        return value in lax.DotAlgorithmPreset.__members__
    return True
