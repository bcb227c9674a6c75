"""Checks of the arguments that only `lax.conv_general_dilated` has: kinds in `table.py`.

They refuse what cannot be meant. What lax takes is admitted, and lax checks the rest.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from cnnjax.ops.checks import MOST_STEPS, given, is_dimension, is_int, is_sequence
from cnnjax.ops.sizes import WORDS


def check_steps(op: str, name: str, value: Any) -> None:
    """Raises a ValueError unless the value has a size for each axis.

    Args:
        op: the calling function, for the message.
        name: the argument, for the message.
        value: the argument.
    """
    steps = _items(value)
    if steps is None or not all(is_dimension(n) and (not is_int(n) or n >= 1) for n in steps):
        raise ValueError(
            f"{op}: {name} must be a sequence of ints of at least 1, got {given(value)}"
        )
    _check_most(op, name, steps)


def check_padding(op: str, name: str, value: Any) -> None:
    """Raises a ValueError unless the value is a word or a (low, high) pair for each axis.

    Args:
        op: the calling function, for the message.
        name: the argument, for the message.
        value: the argument.
    """
    if isinstance(value, str) and value.upper() in WORDS:
        return
    pairs = [_items(pair) for pair in _items(value) or [None]]
    sides = [n for pair in pairs for n in pair or [None]]
    if not all(is_dimension(n) for n in sides) or any(len(pair or ()) != 2 for pair in pairs):
        raise ValueError(
            f"{op}: {name} must be {', '.join(map(repr, WORDS))} or a sequence of (low, high) "
            f"pairs, got {given(value)}"
        )
    _check_most(op, name, sides)


def check_layouts(op: str, name: str, value: Any) -> None:
    """Raises a TypeError unless the value has the layouts of images, kernel and output.

    Args:
        op: the calling function, for the message.
        name: the argument, for the message.
        value: the argument.
    """
    if isinstance(value, lax.ConvDimensionNumbers):
        return
    if not is_sequence(value) or len(value) != 3 or not all(isinstance(v, str) for v in value):
        raise TypeError(
            f"{op}: {name} must be None, three layouts such as ('NHWC', 'HWIO', 'NHWC') or "
            f"lax.ConvDimensionNumbers, got {given(value)}"
        )


def check_dtype(op: str, name: str, value: Any) -> None:
    """Raises a TypeError unless the value names a dtype.

    Args:
        op: the calling function, for the message.
        name: the argument, for the message.
        value: the argument.
    """
    try:
        # Arrays have a dtype, too, but are none.
        if not isinstance(value, str | type | np.dtype):
            raise TypeError
        jnp.dtype(value)
    # NumPy raises errors of several kinds.
    except Exception as error:
        raise TypeError(f"{op}: {name} must be a dtype, got {given(value)}") from error


def _items(value: Any) -> list[Any] | None:
    # An iterator would be empty afterwards.
    rows = isinstance(value, np.ndarray) and value.ndim > 0
    return list(value) if rows or is_sequence(value) else None


def _check_most(op: str, name: str, sizes: list[Any]) -> None:
    if any(is_int(n) and abs(n) > MOST_STEPS for n in sizes):
        raise ValueError(
            f"{op}: {name} must have sizes of at most {MOST_STEPS} (2**31 - 1), got {sizes}"
        )
