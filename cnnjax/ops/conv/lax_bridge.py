"""`conv_general_dilated` with lax's exact signature: our rules for any JAX library."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from cnnjax.ops import sizes
from cnnjax.ops.agreement import DTYPES
from cnnjax.ops.arguments.table import checked
from cnnjax.ops.checks import check_elements, given
from cnnjax.ops.conv import spec as conv_spec
from cnnjax.ops.conv.algorithms.direct import NHWC, lax_conv
from cnnjax.ops.conv.batch_axis import on_each_part
from cnnjax.ops.conv.bilinear import convolve
from cnnjax.ops.conv.layouts import image_axes, kernel_axes, sizes_of

_KINDS = {
    "lhs": "array",
    "rhs": "array",
    "window_strides": "lax steps",
    "padding": "lax padding",
    "lhs_dilation": "lax steps or None",
    "rhs_dilation": "lax steps or None",
    "dimension_numbers": "lax layouts or None",
    "feature_group_count": "count",
    "batch_group_count": "count",
    "precision": "precision",
    "preferred_element_type": "dtype or None",
    "out_sharding": "lax's own",
}


@checked(**_KINDS)
def conv_general_dilated(
    lhs: jax.Array,
    rhs: jax.Array,
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers=None,
    feature_group_count: int = 1,
    batch_group_count: int = 1,
    precision: lax.PrecisionLike = None,
    preferred_element_type=None,
    out_sharding=None,
) -> jax.Array:
    """Returns what `lax.conv_general_dilated` returns, by this package's rules where they apply.

    A two-dimensional convolution of float32, bfloat16, float16 or float64 runs on the rules of
    `conv2d`, in any layout, in both modes of differentiation and under `jax.vmap`. Every other call
    (other ranks, `lhs_dilation`, batch groups, negative padding, mixed or integer dtypes, another
    `preferred_element_type`, an `out_sharding` or explicit shardings, empty outputs, and arguments
    that lax refuses) goes to lax unchanged.

    Args:
        lhs: images, of the rank and layout that `dimension_numbers` states.
        rhs: the kernel.
        window_strides: as in lax.
        padding: as in lax.
        lhs_dilation: as in lax.
        rhs_dilation: as in lax.
        dimension_numbers: as in lax.
        feature_group_count: as in lax.
        batch_group_count: as in lax.
        precision: as in lax.
        preferred_element_type: as in lax.
        out_sharding: as in lax.

    Raises:
        TypeError: as lax, whose message is quoted.
        ValueError: as lax, whose message is quoted.

    Example:
        >>> import flax.linen as linen, jax, jax.numpy as jnp
        >>> from cnnjax import ops
        >>> layer = linen.Conv(8, (3, 3), conv_general_dilated=ops.conv_general_dilated)
        >>> layer.init_with_output(jax.random.key(0), jnp.ones((1, 5, 5, 2)))[0].shape
        (1, 5, 5, 8)
    """
    geometry = (window_strides, padding, lhs_dilation, rhs_dilation, dimension_numbers)
    groups = (feature_group_count, batch_group_count)
    types = (precision, preferred_element_type, out_sharding)
    return _by_our_rules(lhs, rhs, *geometry, *groups, *types)


def _by_our_rules(
    lhs,
    rhs,
    window_strides,
    padding,
    lhs_dilation,
    rhs_dilation,
    dimension_numbers,
    feature_group_count,
    batch_group_count,
    precision,
    preferred_element_type,
    out_sharding,
) -> jax.Array:
    """Returns the convolution by the rules of `conv2d` where they apply, else by lax."""
    numbers = _numbers(lhs, rhs, dimension_numbers)
    if (
        numbers is not None
        and batch_group_count == 1
        and out_sharding is None
        and (lhs_dilation is None or tuple(lhs_dilation) == (1, 1))
        and _is_one_float(lhs, rhs, preferred_element_type)
    ):
        images = sizes_of(lhs, image_axes(numbers.lhs_spec))
        kernel = sizes_of(rhs, kernel_axes(numbers.rhs_spec))
        spec = _spec(
            images, kernel, window_strides, padding, rhs_dilation, feature_group_count, precision
        )
        # Other layouts are not cut along a mesh axis.
        if spec is not None and (numbers == NHWC or spec.batch_axis is None):
            return convolve(lhs, rhs, spec, numbers)
    return _by_lax(
        "conv_general_dilated",
        lhs,
        rhs,
        window_strides=window_strides,
        padding=padding,
        lhs_dilation=lhs_dilation,
        rhs_dilation=rhs_dilation,
        dimension_numbers=dimension_numbers,
        feature_group_count=feature_group_count,
        batch_group_count=batch_group_count,
        precision=precision,
        preferred_element_type=preferred_element_type,
        out_sharding=out_sharding,
    )


@checked(**_KINDS)
def lax_conv_general_dilated(
    lhs: jax.Array,
    rhs: jax.Array,
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers=None,
    feature_group_count: int = 1,
    batch_group_count: int = 1,
    **options: Any,
) -> jax.Array:
    """Returns what lax's own function returns; within `batch_over`, each device convolves its part.

    The result is that of `lax.conv_general_dilated`. Its errors are quoted.

    Args:
        lhs: as in lax.
        rhs: as in lax.
        window_strides: as in lax.
        padding: as in lax.
        lhs_dilation: as in lax.
        rhs_dilation: as in lax.
        dimension_numbers: as in lax.
        feature_group_count: as in lax.
        batch_group_count: as in lax.
        **options: the other keyword arguments of `lax.conv_general_dilated`.

    Example:
        >>> import jax.numpy as jnp
        >>> from cnnjax import ops
        >>> signals, kernel = jnp.ones((1, 2, 9)), jnp.ones((4, 2, 3))
        >>> ops.lax_conv_general_dilated(signals, kernel, (2,), "SAME").shape
        (1, 4, 5)
    """
    return _by_lax(
        "lax_conv_general_dilated",
        lhs,
        rhs,
        window_strides=window_strides,
        padding=padding,
        lhs_dilation=lhs_dilation,
        rhs_dilation=rhs_dilation,
        dimension_numbers=dimension_numbers,
        feature_group_count=feature_group_count,
        batch_group_count=batch_group_count,
        **options,
    )


def _by_lax(op: str, lhs: jax.Array, rhs: jax.Array, **arguments: Any) -> jax.Array:
    """Returns lax's convolution; its errors get the name of `op` and the arguments."""
    try:
        _check_elements(op, lhs, rhs, **arguments)
        return _on_each_part(lhs, rhs, **arguments)
    # lax checks some arguments with errors of Python's own.
    except (ArithmeticError, AssertionError, AttributeError, LookupError, NotImplementedError,
            TypeError, ValueError) as error:  # fmt: skip
        if str(error).startswith(f"{op}: "):
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        listed = {"lhs": lhs, "rhs": rhs} | arguments
        listed = ", ".join(f"{name}={given(value)}" for name, value in listed.items())
        raise kind(f"{op}: lax refuses the arguments: {error} ({listed})") from error


def _on_each_part(lhs: jax.Array, rhs: jax.Array, **arguments: Any) -> jax.Array:
    function = partial(lax_conv, **arguments)
    axis = conv_spec.batch_axis_of(arguments["feature_group_count"])
    own = arguments.get("out_sharding") is not None or arguments["batch_group_count"] > 1
    if axis is None or own:
        return function(lhs, rhs)
    numbers = lax.conv_dimension_numbers(lhs.shape, rhs.shape, arguments["dimension_numbers"])
    # Parts are cut along the first axis, which need not be the batch.
    if numbers.lhs_spec[0] or numbers.out_spec[0]:
        return function(lhs, rhs)
    return on_each_part(function, axis, (True, False), lhs, rhs)


def _check_elements(op: str, lhs: jax.Array, rhs: jax.Array, **arguments: Any) -> None:
    """Checks that the padded and spread-out images fit in memory, whatever their layout."""
    numbers = lax.conv_dimension_numbers(lhs.shape, rhs.shape, arguments["dimension_numbers"])
    batch, features, *axes = numbers.lhs_spec
    none = [1] * len(axes)
    given_steps = (arguments[name] for name in ("lhs_dilation", "rhs_dilation"))
    spread, holes = (none if steps is None else steps for steps in given_steps)
    sizes_ = [
        sizes.span(lhs.shape[i], s) + sizes.span(rhs.shape[k], h)
        for i, k, s, h in zip(axes, numbers.rhs_spec[2:], spread, holes, strict=True)
    ]
    if not isinstance(arguments["padding"], str):
        pads = zip(sizes_, arguments["padding"], strict=True)
        sizes_ = [n + abs(low) + abs(high) for n, (low, high) in pads]
    shape = (lhs.shape[batch], lhs.shape[features], *sizes_)
    names = ("window_strides", "padding", "lhs_dilation", "rhs_dilation")
    check_elements(op, "the padded images", shape, **{name: arguments[name] for name in names})


def _numbers(lhs, rhs, dimension_numbers) -> lax.ConvDimensionNumbers | None:
    """Returns the places of the axes; None where lax computes or refuses the convolution."""
    if jnp.ndim(lhs) != 4 or jnp.ndim(rhs) != 4 or _is_explicit(lhs) or _is_explicit(rhs):
        return None
    try:
        return lax.conv_dimension_numbers(lhs.shape, rhs.shape, dimension_numbers)
    except (TypeError, ValueError):
        # Lax raises the error again, in its own words.
        return None


def _is_explicit(x) -> bool:
    """Returns whether the array is cut along an axis whose sharding is a part of its type."""
    # NumPy's arrays have no sharding.
    return isinstance(x, jax.Array) and any(
        axes is not None for axes in jax.typeof(x).sharding.spec
    )


def _is_one_float(lhs, rhs, preferred) -> bool:
    dtype = jnp.dtype(lhs.dtype)
    return (
        dtype.name in DTYPES
        and dtype == rhs.dtype
        and (preferred is None or jnp.dtype(preferred) == dtype)
    )


def _spec(
    images, kernel, strides, padding, dilation, groups, precision
) -> conv_spec.ConvSpec | None:
    """Returns the convolution, or None where lax computes or refuses it."""
    if isinstance(strides, int) or isinstance(dilation, int) or isinstance(padding, int):
        return None
    try:
        return conv_spec.parse(
            "conv_general_dilated",
            images,
            kernel,
            strides=tuple(strides),
            padding=padding if isinstance(padding, str) else _pairs(padding),
            dilation=(1, 1) if dilation is None else tuple(dilation),
            groups=groups,
            precision=precision,
        )
    except (TypeError, ValueError):
        return None


def _pairs(padding) -> sizes.Pads:
    (top, bottom), (left, right) = padding
    return ((top, bottom), (left, right))
