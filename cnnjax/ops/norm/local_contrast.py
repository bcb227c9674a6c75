"""Local contrast normalization: subtract the neighborhood's mean, divide by its deviation."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from cnnjax.ops.accumulation import sum_dtype
from cnnjax.ops.arguments.table import checked
from cnnjax.ops.checks import pair
from cnnjax.ops.pool.pooling import means
from cnnjax.ops.pool.window import pool_window
from cnnjax.ops.sizes import Pair, PairLike

__all__ = ["local_contrast_norm"]


@checked(x="images", window="pair", epsilon="positive number", backward="backward")
def local_contrast_norm(
    x: Float[Array, "batch height width channels"],
    *,
    window: PairLike = 9,
    epsilon: float = 1e-4,
    backward: str = "ours",
) -> Float[Array, "batch height width channels"]:
    """Returns every pixel less its neighborhood's mean, divided by the neighborhood's deviation.

    Over the window around each pixel and over all channels, v = x - mean(x), then
    y = v / max(epsilon, √mean(v²)). Means are plain ones over the pixels inside the image. Where a
    neighborhood is flat, the divisor is the constant epsilon and no gradient flows through it.

    Args:
        x: images, (batch, height, width, channels), floating dtype; the half types are computed in
            float32.
        window: height and width of the neighborhood in pixels, odd.
        epsilon: the smallest divisor, in the units of x.
        backward: "ours" for the pools' rules written here; "native" for JAX's, which forward mode
            needs.

    Returns:
        An array of the shape and dtype of `x`.

    Raises:
        ValueError: `x` is not a batch of floating-point images, `window` is even, or `epsilon` is
            not positive.

    Example:
        >>> import jax.numpy as jnp
        >>> from cnnjax import ops
        >>> x = jnp.zeros((1, 9, 9, 1)).at[0, 4, 4, 0].set(1.0)
        >>> round(float(ops.local_contrast_norm(x, window=3)[0, 4, 4, 0]), 2)
        2.83

    Source: Jarrett et al., 2009, section 2.1 (there with a Gaussian window, and the mean deviation
    as the smallest divisor).
    """
    op = "local_contrast_norm"
    window = pair(op, "window", window)
    if window[0] % 2 == 0 or window[1] % 2 == 0:
        raise ValueError(f"{op}: window must be odd to have a center, got {window}")
    with jax.named_scope(op):
        wide = x.astype(sum_dtype(x.dtype))
        centered = wide - _local_mean(wide, window, backward)
        energy = _local_mean(centered * centered, window, backward)
        flat = energy <= jnp.asarray(epsilon * epsilon, energy.dtype)
        # The square root is never differentiated at 0, nor where its derivative overflows.
        root = lax.rsqrt(jnp.where(flat, jnp.ones_like(energy), energy))
        divided = jnp.where(flat, jnp.asarray(1 / epsilon, energy.dtype), root)
        return (centered * divided).astype(x.dtype)


def _local_mean(values: jax.Array, window: Pair, backward: str) -> jax.Array:
    """Returns the mean over the window around each pixel and over all channels."""
    over_channels = jnp.mean(values, axis=3, keepdims=True)
    where = pool_window("local_contrast_norm", over_channels, window, 1, "SAME", 1, False)
    return means(over_channels, where, False, backward)
