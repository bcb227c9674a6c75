"""Checks of single values that several ops share: each raises an error that names op and argument.

`arguments.py` has the table of all kinds of arguments; it is made of these checks.
"""

from __future__ import annotations

import math
import numbers
import operator
from collections.abc import Sequence
from typing import Any, TypeGuard

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

MOST_STEPS = 2**31 - 1
"""The largest size, stride, dilation or padding: positions are computed in int32."""

MOST_ELEMENTS = 2**40
"""The most elements of an array, 4 TiB of float32: more than fits the memory of any device.

Of smaller arrays that do not fit, JAX raises an error, before which `checked` puts the op's name.
Where JAX computes asynchronously, it may arise only where the result is waited for, without a name.
"""

MOST_TERMS = 1024
"""The most operations that one op is written out as: with more, compiling takes minutes."""


def is_int(value: Any) -> TypeGuard[int]:
    """Returns whether `value` is an integer: NumPy's count, True and False do not.

    Args:
        value: any object.
    """
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def is_dimension(value: Any) -> bool:
    """Returns whether `value` can be a size in a shape: an integer or a symbolic dimension.

    Args:
        value: any object.
    """
    return is_int(value) or jax.export.is_symbolic_dim(value)


def is_sequence(value: Any) -> TypeGuard[Sequence[Any]]:
    """Returns whether `value` is a list, tuple or the like: text and bytes do not count.

    Args:
        value: any object.
    """
    text = isinstance(value, str | bytes | bytearray | memoryview)
    return isinstance(value, Sequence) and not text


def int_pair(value: Any, least: int) -> tuple[int, int] | None:
    """Returns a pair of ints as Python's own, an int counts twice; None for what is neither.

    Args:
        value: any object.
        least: the smallest value that counts.
    """
    # Written out: each call of an op checks several pairs.
    if isinstance(value, numbers.Integral):
        first = last = value
    elif is_sequence(value) and len(value) == 2:
        first, last = value
    else:
        return None
    for number in (first, last):
        if not isinstance(number, numbers.Integral) or isinstance(number, bool) or number < least:
            return None
    return operator.index(first), operator.index(last)


def is_real(value: Any) -> TypeGuard[float]:
    """Returns whether `value` is a real number of Python or NumPy, or a concrete scalar array.

    Args:
        value: any object.
    """
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        traced = isinstance(value, Tracer)
        return not traced and value.ndim == 0 and is_a(value, np.integer, np.floating)
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def is_a(array: Any, *kinds: type[np.generic]) -> bool:
    """Returns whether the dtype of an array is of one of the kinds.

    Args:
        array: any object with a dtype.
        *kinds: abstract dtypes such as `np.floating`, which includes bfloat16 here.
    """
    return any(jnp.issubdtype(array.dtype, kind) for kind in kinds)


def given(value: Any) -> str:
    """Returns a short text for what an argument was, for messages.

    Args:
        value: any object.
    """
    if isinstance(value, jax.Array | np.ndarray):
        return f"an array {value.dtype}{list(value.shape)}"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}… ({type(value).__name__})"


def pair(op: str, name: str, value: int | Sequence[int], *, minimum: int = 1) -> tuple[int, int]:
    """Returns `value` as (rows, columns): an int counts for both.

    Args:
        op: the calling function, for the message.
        name: the argument, for the message.
        value: an int or a pair of ints.
        minimum: the smallest allowed value.

    Raises:
        ValueError: `value` is something else, smaller than `minimum` or above `MOST_STEPS`.
    """
    values = int_pair(value, minimum)
    if values is None:
        raise ValueError(
            f"{op}: {name} must be an int or a pair of ints, each at least {minimum}, got "
            f"{given(value)}"
        )
    check_steps(op, name, values)
    return values


def check_count(op: str, name: str, value: Any) -> None:
    """Raises a ValueError unless the value is an int of at least 1.

    Args:
        op: the calling function, for the message.
        name: the argument, for the message.
        value: the argument.
    """
    check_int(op, name, value)
    if value > MOST_STEPS:
        raise ValueError(f"{op}: {name} must be an int of at most {MOST_STEPS}, got {value}")


def check_int(op: str, name: str, value: Any) -> None:
    """Raises a ValueError unless the value is an int of at least 1, of any size.

    Args:
        op: the calling function, for the message.
        name: the argument, for the message.
        value: the argument.
    """
    if not is_int(value) or value < 1:
        raise ValueError(f"{op}: {name} must be an int of at least 1, got {given(value)}")


def check_backward(op: str, name: str, value: Any) -> None:
    """Raises a ValueError unless the value is "ours" or "native".

    Args:
        op: the calling function, for the message.
        name: the argument, for the message.
        value: the argument.
    """
    # An array would be compared element by element.
    if not isinstance(value, str) or value not in ("ours", "native"):
        raise ValueError(f"{op}: {name} must be 'ours' or 'native', got {given(value)}")


def check_steps(op: str, name: str, values: tuple[int, int]) -> None:
    """Raises a ValueError if a size, stride, dilation or padding is above `MOST_STEPS`.

    Args:
        op: the calling function, for the message.
        name: the argument, for the message.
        values: the argument.
    """
    if max(values) > MOST_STEPS:
        raise ValueError(
            f"{op}: {name} must be at most {MOST_STEPS} (2**31 - 1), got {max(values)}; positions "
            "in images are computed in int32"
        )


def check_array(op: str, name: str, x: Any) -> None:
    """Raises a TypeError unless `x` is an array of JAX or NumPy.

    Args:
        op: the calling function, for the message.
        name: the argument, for the message.
        x: the value to check.
    """
    if isinstance(x, jax.Array):
        return
    masked = isinstance(x, np.ma.MaskedArray)
    if masked or not (isinstance(x, np.ndarray | np.generic) or hasattr(x, "__jax_array__")):
        raise TypeError(
            f"{op}: {name} must be an array of JAX or NumPy, got "
            f"{'a masked array' if masked else given(x)}; "
            + ("fill it with .filled(value)" if masked else "make one with jnp.asarray")
        )


def check_floating(op: str, name: str, x: Any) -> None:
    """Raises an error unless `x` is an array of floating-point numbers.

    Args:
        op: the calling function, for the message.
        name: the argument, for the message.
        x: the value to check.

    Raises:
        TypeError: `x` is not an array.
        ValueError: its dtype is not floating.
    """
    check_array(op, name, x)
    if not is_a(x, np.floating):
        raise ValueError(
            f"{op}: {name} must have a floating dtype, got {x.dtype}; cast it with "
            f"{name}.astype(jnp.float32)"
        )


def check_images(op: str, name: str, x: Any) -> None:
    """Checks that `x` is a batch of floating-point images.

    Args:
        op: the calling function, for the message.
        name: the argument, for the message.
        x: the array to check.

    Raises:
        TypeError: `x` is not an array.
        ValueError: `x` has another rank than 4 (NHWC) or another kind of dtype.
    """
    check_array(op, name, x)
    check_image_axes(op, name, x)
    check_floating(op, name, x)


def check_image_axes(op: str, name: str, x: jax.Array) -> None:
    """Raises a ValueError unless an array has the four axes of a batch of images.

    Args:
        op: the calling function, for the message.
        name: the argument, for the message.
        x: the array to check.
    """
    if jnp.ndim(x) != 4:
        raise ValueError(
            f"{op}: {name} must have 4 axes (batch, height, width, channels), got shape "
            f"{jnp.shape(x)}; add a batch axis with {name}[None] or use jax.vmap"
        )


def check_elements(op: str, what: str, shape: tuple[Any, ...], **arguments: Any) -> None:
    """Raises a ValueError if an array of that shape would have more elements than memory can hold.

    XLA ends the process where the size of an array overflows. Symbolic dimensions count as 1.

    Args:
        op: the calling function, for the message.
        what: the array, for the message, such as "the output".
        shape: of the array.
        **arguments: the arguments that its size follows from, for the message.
    """
    if math.prod(n for n in shape if is_int(n)) > MOST_ELEMENTS:
        listed = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
        raise ValueError(
            f"{op}: {what} would have the shape {tuple(shape)}, more than {MOST_ELEMENTS} (2**40) "
            f"elements, for {listed}; make one of them smaller"
        )
