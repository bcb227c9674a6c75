"""The passes of a convolution in any layout: of NHWC arrays on CPU, elsewhere in lax's own form.

XLA's CPU compiler transposes the operands of other layouts itself, so that transposing them here
costs nothing more. On GPU and TPU each layout has a form of its own in the vendor's library.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from cnnjax.ops.conv import passes
from cnnjax.ops.conv.algorithms import direct
from cnnjax.ops.conv.spec import ConvSpec
from cnnjax.ops.platforms import by_platform


def image_axes(axes: Sequence[int]) -> tuple[int, ...]:
    """Returns the places of an image's batch, height, width and channels.

    Args:
        axes: the places of its batch, channels, height and width, as lax has them.
    """
    batch, channels, *window = axes
    return (batch, *window, channels)


def kernel_axes(axes: Sequence[int]) -> tuple[int, ...]:
    """Returns the places of a kernel's height, width, channels and filters.

    Args:
        axes: the places of its filters, channels, height and width, as lax has them.
    """
    filters, channels, *window = axes
    return (*window, channels, filters)


def sizes_of(x: Any, axes: Sequence[int]) -> tuple[Any, ...]:
    """Returns the sizes of some axes of an array.

    Args:
        x: the array, or its abstract value.
        axes: in the order that is wanted.
    """
    return tuple(x.shape[axis] for axis in axes)


def run(
    name: str,
    spec: ConvSpec,
    numbers: lax.ConvDimensionNumbers,
    arrays: Mapping[str, tuple[jax.Array, tuple[int, ...]]],
    result: tuple[int, ...],
    **size: Any,
) -> jax.Array:
    """Returns a pass of arrays in any layout.

    Args:
        name: of the pass.
        spec: the convolution.
        numbers: the places of the axes in the forward pass.
        arrays: by name, with the places of their axes in the order NHWC or HWIO.
        result: the places of the result's axes in that order.
        **size: of the images or the kernel, where the result has it.
    """
    ours = partial(getattr(passes, name), spec=spec, **size)
    given = [array for array, _ in arrays.values()]
    if numbers == direct.NHWC:
        return ours(*given)

    def transposed(*given: jax.Array) -> jax.Array:
        axes = [axes for _, axes in arrays.values()]
        standard = map(jnp.transpose, given, axes)
        back = sorted(range(len(result)), key=result.__getitem__)
        return jnp.transpose(ours(*standard), back)

    own = partial(getattr(direct, name), spec, *size.values(), numbers=numbers)
    return by_platform(*given, cpu=transposed, default=own)
