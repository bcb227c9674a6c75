"""`conv2d` by fast Fourier transforms, under its own name."""

from __future__ import annotations

from jaxtyping import Array, Float

from cnnjax.ops.arguments.table import CONVOLUTION, checked
from cnnjax.ops.conv.conv2d import cross_correlation

_KINDS = {name: kind for name, kind in CONVOLUTION.items() if name != "algorithm"}


@checked(**_KINDS)
def fft_conv2d(
    x: Float[Array, "batch height width channels"],
    kernel: Float[Array, "kernel_height kernel_width channels_per_group filters"],
    **options,
) -> Float[Array, "batch out_height out_width filters"]:
    """Returns `conv2d(x, kernel, algorithm="fft", **options)`; its gradients are FFTs as well.

    The cost does not grow with the kernel: it is the fastest form for kernels of tens of pixels.
    Rounding is that of the transform, relative to the largest output rather than to each.

    Args:
        x: images, (batch, height, width, channels).
        kernel: (height, width, channels / groups, filters), of the same dtype.
        **options: the other keyword arguments of `conv2d`.

    Example:
        >>> import jax.numpy as jnp
        >>> from cnnjax import ops
        >>> x, kernel = jnp.ones((1, 40, 40, 1)), jnp.ones((31, 31, 1, 1))
        >>> bool(jnp.allclose(ops.fft_conv2d(x, kernel), ops.conv2d(x, kernel), rtol=1e-3))
        True
    """
    return cross_correlation("fft_conv2d", x, kernel, algorithm="fft", **options)
