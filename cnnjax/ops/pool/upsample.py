"""Enlarging images by integer factors, the opposite of pooling."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from cnnjax.ops.accumulation import sum_dtype
from cnnjax.ops.arguments.table import checked
from cnnjax.ops.checks import check_elements, pair
from cnnjax.ops.sizes import PairLike

__all__ = ["upsample_bilinear", "upsample_nearest"]


@checked(x="images", factor="pair")
def upsample_nearest(
    x: Float[Array, "batch height width channels"], factor: PairLike
) -> Float[Array, "batch out_height out_width channels"]:
    """Returns images with every pixel repeated; the gradient is `sum_pool(g, factor)`.

    Args:
        x: images, (batch, height, width, channels), floating dtype.
        factor: how many times larger, an int or (rows, columns).

    Returns:
        (batch, height * rows, width * columns, channels), in the dtype of `x`.

    Raises:
        ValueError: `factor` is not a positive int or a pair of them.

    Example:
        >>> import jax.numpy as jnp
        >>> from cnnjax import ops
        >>> ops.upsample_nearest(jnp.array([1.0, 2.0]).reshape(1, 1, 2, 1), (2, 2))[0, :, :, 0]
        Array([[1., 1., 2., 2.],
               [1., 1., 2., 2.]], dtype=float32)
    """
    rows, columns = pair("upsample_nearest", "factor", factor)
    batch, height, width, channels = x.shape
    shape = (batch, height * rows, width * columns, channels)
    check_elements("upsample_nearest", "the output", shape, factor=factor)
    with jax.named_scope("upsample_nearest"):
        # `jnp.repeat` would be a gather, whose transpose is a slow scatter; this one's is a sum.
        spread = jnp.broadcast_to(
            x[:, :, None, :, None, :], (batch, height, rows, width, columns, channels)
        )
        return spread.reshape(shape)


@checked(x="images", factor="pair")
def upsample_bilinear(
    x: Float[Array, "batch height width channels"], factor: PairLike
) -> Float[Array, "batch out_height out_width channels"]:
    """Returns images interpolated linearly between pixel centers.

    Output pixel r lies at (r + 1/2) / factor - 1/2 of the input: corners are not aligned
    (PyTorch's `align_corners=False`). Beyond the outermost centers the value is theirs. The half
    types are interpolated in float32.

    Args:
        x: images, (batch, height, width, channels), floating dtype.
        factor: how many times larger, an int or (rows, columns).

    Returns:
        (batch, height * rows, width * columns, channels), in the dtype of `x`.

    Raises:
        ValueError: `factor` is not a positive int or a pair of them.

    Example:
        >>> import jax.numpy as jnp
        >>> from cnnjax import ops
        >>> ops.upsample_bilinear(jnp.array([0.0, 4.0]).reshape(1, 1, 2, 1), (1, 2))[0, 0, :, 0]
        Array([0., 1., 3., 4.], dtype=float32)
    """
    rows, columns = pair("upsample_bilinear", "factor", factor)
    batch, height, width, channels = x.shape
    shape = (batch, height * rows, width * columns, channels)
    check_elements("upsample_bilinear", "the output", shape, factor=factor)
    with jax.named_scope("upsample_bilinear"):
        wide = x.astype(sum_dtype(x.dtype))
        return jax.image.resize(wide, shape, "bilinear", antialias=False).astype(x.dtype)
