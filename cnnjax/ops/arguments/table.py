"""The kinds of arguments that ops take, in one table, and the decorator that checks them.

Every public op is decorated with `checked`, which names the kind of each of its arguments. A wrong
one is refused before anything is computed, with a message that starts with the op's name and names
the argument, what was given and what is expected. What several arguments have to agree on, such as
the channels of images and kernel, each op checks itself.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar

import jax

from cnnjax.ops.arguments import choices, lax_own, values
from cnnjax.ops.arguments.choices import or_none
from cnnjax.ops.checks import (
    check_array,
    check_backward,
    check_count,
    check_floating,
    check_images,
    check_int,
    pair,
)
from cnnjax.ops.checks import given as text
from cnnjax.ops.sizes import check_padding

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
Check = Callable[[str, str, Any], Any]

KINDS: dict[str, Check] = {
    # Arrays.
    "array": check_array,
    "floats": check_floating,
    "mask or None": or_none(values.check_mask),
    "images": check_images,
    "images of numbers": values.check_numeric_images,
    "integers": values.check_integers,
    "filter": values.check_filter,
    # Sizes.
    "pair": pair,
    "pair or None": or_none(pair),
    "pair from 0 or None": or_none(functools.partial(pair, minimum=0)),
    "padding": check_padding,
    "pads": values.check_pads,
    "shape": values.check_shape,
    "count": check_count,
    "int": check_int,
    "odd": values.check_odd,
    "odd or None": or_none(values.check_odd),
    # Numbers; where an array is admitted, it may be traced.
    "number or array": functools.partial(values.check_number, traced=True),
    "number from 0": functools.partial(values.check_number, least=0),
    "number or array from 0": functools.partial(values.check_number, least=0, traced=True),
    "positive number": functools.partial(values.check_number, above=0),
    # Choices.
    "flag": choices.check_flag,
    "backward": check_backward,
    "padding mode": choices.check_mode,
    "precision": choices.check_precision,
    "name or None": or_none(choices.check_name),
    "axis names or None": or_none(choices.check_axis_names),
    "axis groups or None": or_none(choices.check_axis_groups),
    "mesh": choices.check_mesh,
    "name": choices.check_name,
    # lax's own.
    "lax steps": lax_own.check_steps,
    "lax steps or None": or_none(lax_own.check_steps),
    "lax padding": lax_own.check_padding,
    "lax layouts or None": or_none(lax_own.check_layouts),
    "dtype or None": or_none(lax_own.check_dtype),
    "lax's own": lambda op, name, value: None,
}
"""For each kind, the check of (op, argument, value), which raises a TypeError or a ValueError."""

ARGUMENTS: dict[str, dict[str, str]] = {
    # These two have checks of their own: their files lie below this one.
    "compiler_options": {"platform": "name or None"},
    "output_size": {
        "size": "int",
        "kernel": "int",
        "stride": "int",
        "padding": "padding",
        "dilation": "int",
    },
}
"""For each op, the kind of each argument."""

CONVOLUTION = {
    "x": "array",
    "kernel": "array",
    "strides": "pair",
    "padding": "padding",
    "dilation": "pair",
    "groups": "count",
    "padding_mode": "padding mode",
    "precision": "precision",
    "algorithm": "name or None",
    "backward": "backward",
}
"""The arguments of `conv2d`, many of which its relatives take as well."""

POOLING = {
    "x": "images",
    "window": "pair",
    "strides": "pair or None",
    "padding": "padding",
    "dilation": "pair",
    "ceil_mode": "flag",
    "backward": "backward",
}
"""The arguments of `max_pool`, which the other poolings take as well."""


def checked(
    **arguments: str,
) -> Callable[[Callable[Parameters, Result]], Callable[Parameters, Result]]:
    """Returns a decorator that checks an op's arguments before it is called.

    >>> @checked(x="floats", size="count")
    ... def repeat(x, *, size=2):
    ...     return x.repeat(size)
    >>> repeat("x")
    Traceback (most recent call last):
    TypeError: repeat: x must be an array of JAX or NumPy, got 'x'; make one with jnp.asarray

    Args:
        **arguments: for each argument of the op, its kind in `KINDS`.
    """

    def decorate(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
        op = function.__name__
        ARGUMENTS[op] = arguments
        checks = {name: KINDS[kind] for name, kind in arguments.items()}
        in_order = [
            (name, checks[name])
            for name, parameter in inspect.signature(function).parameters.items()
            if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        ]

        @functools.wraps(function)
        def call(*given: Parameters.args, **named: Parameters.kwargs) -> Result:
            # Too many arguments, or too few, Python refuses in the function's name.
            for (name, check), value in zip(in_order, given, strict=False):
                check(op, name, value)
            for name, value in named.items():
                if name not in checks:
                    raise TypeError(
                        f"{op}: it takes no argument {name!r}; its arguments are "
                        f"{', '.join(checks)}"
                    )
                checks[name](op, name, value)
            try:
                return function(*given, **named)
            except jax.errors.JaxRuntimeError as error:
                if "out of memory" not in str(error).lower():
                    raise
                raise jax.errors.JaxRuntimeError(f"{op}: {error}{_sizes(given, named)}") from error

        return call

    return decorate


def _sizes(given: Sequence[Any], named: Mapping[str, Any]) -> str:
    """Returns what the sizes of an op's result follow from, for the message."""
    listed = [text(value) for value in given]
    listed += [f"{name}={text(value)}" for name, value in named.items()]
    return f" It was called with {', '.join(listed)}; make one of them smaller."
