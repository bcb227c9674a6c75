"""Stages of equal blocks: in sequence, rematerialized, or under one `lax.scan`."""

from collections.abc import Callable
from typing import Any

import flax.linen as linen
from jaxtyping import Array, Float


def repeat(
    x: Float[Array, "batch height width channels"],
    count: int,
    first: Callable[..., Any],
    rest: Callable[..., Any],
    name: str,
    *,
    remat: bool,
    scan: bool,
) -> Float[Array, "batch rows columns features"]:
    """Applies a stage's blocks.

    Args:
        x: feature maps.
        count: number of blocks.
        first: makes the first block, given `name`.
        rest: makes each further block, given `name`.
        name: of the stage; blocks are `<name>_block1`, ..., or, scanned, `<name>_block1` and
            `<name>_rest` with a leading axis in every parameter.
        remat: whether only a block's input is kept for the backward pass.
        scan: whether the blocks after the first are compiled once, under `lax.scan`.

    Returns:
        The last block's output.
    """
    apply = linen.remat(_apply) if remat else _apply
    x = apply(first(name=f"{name}_block1"), x)
    if scan and count > 1:
        # The first block may change the shape, so it stays outside of the scan.
        body = linen.scan(
            lambda block, carry, _: (apply(block, carry), None),
            variable_axes={"params": 0, "batch_stats": 0},
            split_rngs={"params": True, "dropout": True},
            length=count - 1,
        )
        return body(rest(name=f"{name}_rest"), x, None)[0]
    for number in range(2, count + 1):
        x = apply(rest(name=f"{name}_block{number}"), x)
    return x


def _apply(block: linen.Module, x: Array) -> Array:
    return block(x)
