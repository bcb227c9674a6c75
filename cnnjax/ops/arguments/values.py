"""Checks of arrays, sizes and numbers: one for each kind of argument in `table.py`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from jax.core import Tracer

from cnnjax.ops.checks import (
    MOST_STEPS,
    check_array,
    check_image_axes,
    given,
    is_a,
    is_dimension,
    is_int,
    is_real,
    is_sequence,
)


def check_numeric_images(op: str, name: str, value: Any) -> None:
    """Raises an error unless the value is an array of four axes, of any numbers.

    Args:
        op: the calling function, for the message.
        name: the argument, for the message.
        value: the argument.
    """
    check_array(op, name, value)
    if not is_a(value, np.number):
        raise ValueError(f"{op}: {name} must have a numeric dtype, got {value.dtype}")
    check_image_axes(op, name, value)


def check_integers(op: str, name: str, value: Any) -> None:
    """Raises an error unless the value is an array of integers.

    Args:
        op: the calling function, for the message.
        name: the argument, for the message.
        value: the argument.
    """
    check_array(op, name, value)
    if not is_a(value, np.integer):
        raise ValueError(f"{op}: {name} must be integers, got {given(value)}")


def check_mask(op: str, name: str, value: Any) -> None:
    """Raises an error unless the value is an array of flags, or of real numbers that count as such.

    Args:
        op: the calling function, for the message.
        name: the argument, for the message.
        value: the argument.
    """
    check_array(op, name, value)
    if not any(is_a(value, kind) for kind in (np.bool_, np.integer, np.floating)):
        raise ValueError(f"{op}: {name} must be flags, got {given(value)}")


def check_filter(op: str, name: str, value: Any) -> None:
    """Raises a ValueError unless the value is a matrix of real numbers with a center.

    Args:
        op: the calling function, for the message.
        name: the argument, for the message.
        value: the argument, an array or nested sequences; not traced.
    """
    try:
        kernel = np.asarray(value)
        real = kernel.dtype.kind in "iuf" or is_a(kernel, np.floating)
    # NumPy and JAX raise errors of several kinds here, for ragged lists and for tracers.
    except Exception as error:
        raise ValueError(
            f"{op}: {name} must be a concrete array of real numbers, got {given(value)}"
        ) from error
    if not real or kernel.ndim != 2 or kernel.shape[0] % 2 == 0 or kernel.shape[1] % 2 == 0:
        raise ValueError(
            f"{op}: {name} must be real numbers, (height, width), both odd, got shape "
            f"{kernel.shape} of {kernel.dtype}"
        )


def check_pads(op: str, name: str, value: Any) -> None:
    """Raises a ValueError unless the value is ((top, bottom), (left, right)).

    Args:
        op: the calling function, for the message.
        name: the argument, for the message.
        value: the argument.
    """
    if (
        not is_sequence(value)
        or len(value) != 2
        or not all(is_sequence(sides) and len(sides) == 2 for sides in value)
        or not all(is_int(n) and 0 <= n <= MOST_STEPS for sides in value for n in sides)
    ):
        raise ValueError(
            f"{op}: {name} must be ((top, bottom), (left, right)), each from 0 to {MOST_STEPS} "
            f"pixels, got {given(value)}"
        )


def check_shape(op: str, name: str, value: Any) -> None:
    """Raises a ValueError unless the value is the shape of an array of four axes.

    Args:
        op: the calling function, for the message.
        name: the argument, for the message.
        value: the argument.
    """
    if (
        not is_sequence(value)
        or len(value) != 4
        or not all(is_dimension(n) and not (is_int(n) and not 0 <= n <= MOST_STEPS) for n in value)
    ):
        raise ValueError(
            f"{op}: {name} must be a shape of 4 ints, each from 0 to {MOST_STEPS}, got "
            f"{given(value)}"
        )


def check_odd(op: str, name: str, value: Any) -> None:
    """Raises a ValueError unless the value is a positive odd int.

    Args:
        op: the calling function, for the message.
        name: the argument, for the message.
        value: the argument.
    """
    if not is_int(value) or value < 1 or value % 2 == 0 or value > MOST_STEPS:
        raise ValueError(
            f"{op}: {name} must be a positive odd int of at most {MOST_STEPS}, got {given(value)}"
        )


def check_number(
    op: str,
    name: str,
    value: Any,
    *,
    least: float = -math.inf,
    above: float = -math.inf,
    traced: bool = False,
) -> None:
    """Raises an error unless the value is a finite real number within its limits.

    Args:
        op: the calling function, for the message.
        name: the argument, for the message.
        value: the argument.
        least: the smallest allowed number.
        above: the number that it must exceed.
        traced: whether it may be a traced scalar, whose value is not known.

    Raises:
        TypeError: it is no real number.
        ValueError: it is not finite, or out of range.
    """
    expected = {
        (-math.inf, -math.inf): "a finite number",
        (0, -math.inf): "a finite number of at least 0",
        (-math.inf, 0): "a finite number and positive",
    }[least, above]
    scalar = traced and isinstance(value, Tracer) and value.ndim == 0
    if scalar and is_a(value, np.floating, np.integer):
        return
    if not is_real(value):
        raise TypeError(f"{op}: {name} must be {expected}, got {given(value)}")
    if is_int(value) and abs(value) > MOST_STEPS:
        raise ValueError(
            f"{op}: {name} must be {expected}, got {given(value)}, which int32 does not represent; "
            "make it a float"
        )
    if not math.isfinite(value) or value < least or value <= above:
        raise ValueError(f"{op}: {name} must be {expected}, got {value!r}")
