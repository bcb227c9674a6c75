"""Checks of single values that several ops share: each raises an error that names op and argument.

`arguments.py` has the table of all kinds of arguments; it is made of these checks.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from typing import Any, TypeGuard

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

DTYPES = ("float32", "bfloat16", "float16", "float64")
"""The dtypes of convolutions and matrix products."""

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


def check_images(op: str, x: Any, name: str = "x") -> None:
    """Checks that `x` is a batch of floating-point images.

    Args:
        op: the calling function, for the message.
        x: the array to check.
        name: the argument, for the message.

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


def check_dtypes(op: str, **arrays: jax.Array) -> None:
    """Raises a TypeError unless the arrays share one of the floating dtypes in `DTYPES`.

    Args:
        op: the calling function, for the message.
        **arrays: the arrays to check, by the names of their arguments.
    """
    dtypes = {name: str(a.dtype) for name, a in arrays.items()}
    if len(set(dtypes.values())) != 1 or next(iter(dtypes.values())) not in DTYPES:
        listed = ", ".join(f"{name} {dtype}" for name, dtype in dtypes.items())
        raise TypeError(
            f"{op}: the arrays must share one dtype of {', '.join(DTYPES)}, got {listed}; "
            "cast one with .astype"
        )


def check_per_channel(op: str, x: jax.Array, **arrays: jax.Array) -> None:
    """Raises a ValueError unless each array has one value for each channel, the last axis of x.

    Args:
        op: the calling function, for the message.
        x: the activations.
        **arrays: the arrays to check, by the names of their arguments.
    """
    for name, values in arrays.items():
        # A scalar has no last axis.
        if jnp.ndim(x) < 1 or jnp.shape(values) != jnp.shape(x)[-1:]:
            raise ValueError(
                f"{op}: {name} must have one value per channel, shape {jnp.shape(x)[-1:]}, got "
                f"{jnp.shape(values)} for x of shape {jnp.shape(x)}"
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
