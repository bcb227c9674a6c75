"""`conv_general_dilated` with lax's exact signature: these rules for any JAX library."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from cnnjax.ops import sizes
from cnnjax.ops.checks import DTYPES
from cnnjax.ops.conv import rules as conv_rules
from cnnjax.ops.conv import spec as conv_spec
from cnnjax.ops.conv.batch_axis import on_each_part

_NHWC = lax.ConvDimensionNumbers((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2))


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
    """`lax.conv_general_dilated`, on this package's backward rules where they apply.

    A two-dimensional NHWC/HWIO convolution of float32, bfloat16, float16 or float64 runs on the
    rules of `conv2d`. Every other call (other ranks and layouts, `lhs_dilation`, batch groups,
    negative padding, mixed or integer dtypes, another `preferred_element_type`, an
    `out_sharding`, empty outputs, and arguments that lax refuses) goes to lax unchanged.

    `flax.linen.Conv(..., conv_general_dilated=cnnjax.ops.conv_general_dilated)` and
    `flax.nnx.Conv` take it as it is.

    Args:
        lhs: images; (batch, height, width, channels) for our rules.
        rhs: the kernel; (height, width, channels / groups, filters) for our rules.
        window_strides: as in lax, and so are the arguments that follow.

    Returns:
        What `lax.conv_general_dilated` returns.

    Raises:
        Whatever `lax.conv_general_dilated` raises.
    """
    spec = None
    if (
        batch_group_count == 1
        and out_sharding is None
        and (lhs_dilation is None or all(d == 1 for d in lhs_dilation))
        and _is_nhwc(lhs, rhs, dimension_numbers)
        and _is_one_float(lhs, rhs, preferred_element_type)
    ):
        spec = _spec(
            lhs, rhs, window_strides, padding, rhs_dilation, feature_group_count, precision
        )
    if spec is not None:
        return conv_rules.forward(lhs, rhs, spec=spec)
    return lax_conv_general_dilated(
        lhs,
        rhs,
        window_strides,
        padding,
        lhs_dilation=lhs_dilation,
        rhs_dilation=rhs_dilation,
        dimension_numbers=dimension_numbers,
        feature_group_count=feature_group_count,
        batch_group_count=batch_group_count,
        precision=precision,
        preferred_element_type=preferred_element_type,
        out_sharding=out_sharding,
    )


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
    """Lax's own function; within `batch_over`, grouped convolutions stay cut along the batch.

    Args, result and errors are those of `lax.conv_general_dilated`.
    """
    function = partial(
        lax.conv_general_dilated,
        window_strides=window_strides,
        padding=padding,
        lhs_dilation=lhs_dilation,
        rhs_dilation=rhs_dilation,
        dimension_numbers=dimension_numbers,
        feature_group_count=feature_group_count,
        batch_group_count=batch_group_count,
        **options,
    )
    axis = conv_spec.batch_axis_of(feature_group_count)
    if axis is None or batch_group_count > 1 or options.get("out_sharding") is not None:
        return function(lhs, rhs)
    numbers = lax.conv_dimension_numbers(lhs.shape, rhs.shape, dimension_numbers)
    if numbers.lhs_spec[0] or numbers.out_spec[0]:  # the batch is not the first axis
        return function(lhs, rhs)
    return on_each_part(function, axis, (True, False), lhs, rhs)


def _is_nhwc(lhs, rhs, dimension_numbers) -> bool:
    if jnp.ndim(lhs) != 4 or jnp.ndim(rhs) != 4:
        return False
    try:
        return lax.conv_dimension_numbers(lhs.shape, rhs.shape, dimension_numbers) == _NHWC
    except (TypeError, ValueError):
        return False  # lax says what is wrong.


def _is_one_float(lhs, rhs, preferred) -> bool:
    dtype = jnp.dtype(lhs.dtype)
    return (
        dtype.name in DTYPES
        and dtype == rhs.dtype
        and (preferred is None or jnp.dtype(preferred) == dtype)
    )


def _spec(lhs, rhs, strides, padding, dilation, groups, precision) -> conv_spec.ConvSpec | None:
    """Returns the convolution, or None where lax shall have it (or refuse it)."""
    if isinstance(strides, int) or isinstance(dilation, int) or isinstance(padding, int):
        return None
    try:
        return conv_spec.parse(
            "conv_general_dilated",
            lhs.shape,
            rhs.shape,
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
