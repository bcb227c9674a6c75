"""Fixed kernels of image processing, applied to each channel separately."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from cnnjax.ops.arguments.table import checked
from cnnjax.ops.checks import given
from cnnjax.ops.conv.conv2d import cross_correlation

__all__ = [
    "apply_filter",
    "box_blur",
    "box_kernel",
    "gaussian_blur",
    "gaussian_kernel",
    "laplacian",
    "sharpen",
    "sobel",
]

SOBEL_X = np.array([[1, 0, -1], [2, 0, -2], [1, 0, -1]], np.float64)
SOBEL_Y = SOBEL_X.T
LAPLACIAN = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]], np.float64)
SHARPEN = np.array([[0, -1, 0], [-1, 5, -1], [0, -1, 0]], np.float64)

MOST_SAMPLES = 2**26
"""The most samples of a kernel made here: 512 MiB of float64, which NumPy copies several times."""

Images = Float[Array, "batch height width channels"]


@checked(x="images", kernel="filter", padding_mode="padding mode")
def apply_filter(x: Images, kernel: np.ndarray, *, padding_mode: str | float = "reflect") -> Images:
    """Returns every channel cross-correlated with one kernel, of the same height and width.

    Args:
        x: images, (batch, height, width, channels), floating dtype.
        kernel: (height, width), both odd.
        padding_mode: what lies beyond the edge, as in `conv2d`.

    Returns:
        An array of the shape and dtype of `x`.

    Raises:
        ValueError: `x` is not a batch of floating-point images, or the kernel has no center.

    Example:
        >>> import jax.numpy as jnp, numpy as np
        >>> from cnnjax.ops import filters
        >>> row = jnp.array([0.0, 0.0, 1.0, 0.0]).reshape(1, 1, 4, 1)
        >>> filters.apply_filter(row, np.array([[1, 2, 3]]), padding_mode="zeros")[0, 0, :, 0]
        Array([0., 3., 2., 1.], dtype=float32)
    """
    return _filtered("apply_filter", x, np.asarray(kernel), padding_mode)


@checked(x="images", padding_mode="padding mode")
def sobel(x: Images, *, padding_mode: str | float = "reflect") -> tuple[Images, Images]:
    """Returns the two edge images: brightness differences across columns and across rows.

    The kernels are [[1, 0, -1], [2, 0, -2], [1, 0, -1]] and its transpose, so that brightness
    falling to the right, or downwards, is positive.

    Args:
        x: images, (batch, height, width, channels), floating dtype.
        padding_mode: as in `apply_filter`.

    Returns:
        (vertical edges, horizontal edges), each of the shape and dtype of `x`.

    Example:
        >>> import jax.numpy as jnp
        >>> from cnnjax.ops import filters
        >>> vertical, horizontal = filters.sobel(jnp.ones((1, 3, 4, 1)).at[:, :, 2:].set(0.0))
        >>> vertical[0, 1, :, 0], horizontal[0, 1, :, 0]
        (Array([0., 4., 4., 0.], dtype=float32), Array([0., 0., 0., 0.], dtype=float32))
    """
    with jax.named_scope("sobel"):
        return (
            _filtered("sobel", x, SOBEL_X, padding_mode),
            _filtered("sobel", x, SOBEL_Y, padding_mode),
        )


@checked(x="images", padding_mode="padding mode")
def laplacian(x: Images, *, padding_mode: str | float = "reflect") -> Images:
    """Returns the sum of second differences, by [[0, 1, 0], [1, -4, 1], [0, 1, 0]]: 0 on any plane.

    Args:
        x: images, (batch, height, width, channels), floating dtype.
        padding_mode: as in `apply_filter`.

    Returns:
        An array of the shape and dtype of `x`.

    Example:
        >>> import jax.numpy as jnp
        >>> from cnnjax.ops import filters
        >>> row = jnp.array([0.0, 0.0, 1.0, 2.0]).reshape(1, 1, 4, 1)
        >>> filters.laplacian(row, padding_mode="replicate")[0, 0, :, 0]
        Array([ 0.,  1.,  0., -1.], dtype=float32)
    """
    with jax.named_scope("laplacian"):
        return _filtered("laplacian", x, LAPLACIAN, padding_mode)


@checked(x="images", padding_mode="padding mode")
def sharpen(x: Images, *, padding_mode: str | float = "reflect") -> Images:
    """Returns the images less their Laplacian, by [[0, -1, 0], [-1, 5, -1], [0, -1, 0]].

    Args:
        x: images, (batch, height, width, channels), floating dtype.
        padding_mode: as in `apply_filter`.

    Returns:
        An array of the shape and dtype of `x`.

    Example:
        >>> import jax.numpy as jnp
        >>> from cnnjax.ops import filters
        >>> row = jnp.array([0.0, 0.0, 1.0, 1.0]).reshape(1, 1, 4, 1)
        >>> filters.sharpen(row, padding_mode="replicate")[0, 0, :, 0]
        Array([ 0., -1.,  2.,  1.], dtype=float32)
    """
    with jax.named_scope("sharpen"):
        return _filtered("sharpen", x, SHARPEN, padding_mode)


@checked(x="images", size="odd", padding_mode="padding mode")
def box_blur(x: Images, size: int = 3, *, padding_mode: str | float = "reflect") -> Images:
    """Returns the mean over the size × size pixels around each one.

    Args:
        x: images, (batch, height, width, channels), floating dtype.
        size: height and width of the neighborhood in pixels, odd.
        padding_mode: as in `apply_filter`.

    Returns:
        An array of the shape and dtype of `x`.

    Raises:
        ValueError: `size` is not a positive odd int.

    Example:
        >>> import jax.numpy as jnp
        >>> from cnnjax.ops import filters
        >>> point = jnp.zeros((1, 3, 3, 1)).at[0, 1, 1].set(9.0)
        >>> filters.box_blur(point, padding_mode="zeros")[0, 0, :, 0].round(5)
        Array([1., 1., 1.], dtype=float32)
    """
    with jax.named_scope("box_blur"):
        return _filtered("box_blur", x, _box("box_blur", size), padding_mode)


@checked(x="images", sigma="positive number", size="odd or None", padding_mode="padding mode")
def gaussian_blur(
    x: Images,
    sigma: float,
    *,
    size: int | None = None,
    padding_mode: str | float = "reflect",
) -> Images:
    """Returns the images blurred with a Gaussian, first over rows, then over columns.

    Args:
        x: images, (batch, height, width, channels), floating dtype.
        sigma: the standard deviation in pixels.
        size: the kernel's height and width, odd; by default enough for 3 sigma on either side.
        padding_mode: as in `apply_filter`.

    Returns:
        An array of the shape and dtype of `x`.

    Raises:
        ValueError: `sigma` is not positive, or `size` is not odd.

    Example:
        >>> import jax.numpy as jnp
        >>> from cnnjax.ops import filters
        >>> filters.gaussian_blur(jnp.ones((1, 4, 4, 3)), sigma=1.0).shape
        (1, 4, 4, 3)
    """
    # A Gaussian of two variables is the product of two of one: 2 K products in place of K².
    profile = _gaussian("gaussian_blur", sigma, size)
    with jax.named_scope("gaussian_blur"):
        down = _filtered("gaussian_blur", x, profile[:, None], padding_mode)
        return _filtered("gaussian_blur", down, profile[None, :], padding_mode)


@checked(size="odd")
def box_kernel(size: int) -> np.ndarray:
    """Returns the kernel of a mean over (size, size) pixels: 1 / size² everywhere, float64.

    Args:
        size: height and width in pixels, odd.

    Raises:
        ValueError: `size` is not a positive odd int, or the kernel has more than 2**26 samples.

    Example:
        >>> from cnnjax.ops import filters
        >>> filters.box_kernel(3).sum().round(6).item()
        1.0
    """
    return _box("box_kernel", size)


@checked(sigma="positive number", size="odd or None")
def gaussian_kernel(sigma: float, size: int | None = None) -> np.ndarray:
    """Returns a Gaussian sampled at whole pixels and divided by its sum, (size,), float64.

    Args:
        sigma: the standard deviation in pixels.
        size: number of samples, odd; by default 2 ceil(3 sigma) + 1.

    Raises:
        ValueError: `sigma` is not positive, `size` is not odd, or there are more than 2**26
            samples.

    Example:
        >>> from cnnjax.ops import filters
        >>> filters.gaussian_kernel(1.0, size=3).round(3)
        array([0.274, 0.452, 0.274])
    """
    return _gaussian("gaussian_kernel", sigma, size)


def _filtered(op: str, x: jax.Array, kernel: np.ndarray, padding_mode: str | float) -> jax.Array:
    """Returns `apply_filter`; the messages name `op`."""
    channels = x.shape[3]
    depthwise = jnp.asarray(np.repeat(kernel[:, :, None, None], channels, axis=3), x.dtype)
    # None of these functions has an argument `backward`.
    advice = f"apply {op} to the tangent of x, in which it is linear"
    if not isinstance(padding_mode, str):
        advice += ', with padding_mode="zeros"'
    options: dict[str, Any] = dict(padding="SAME", groups=channels, padding_mode=padding_mode)
    return cross_correlation(op, x, depthwise, advice=advice, **options)


def _box(op: str, size: int) -> np.ndarray:
    _check_samples(op, size * size, "size", size)
    return np.full((size, size), 1.0 / size**2)


def _gaussian(op: str, sigma: float, size: int | None) -> np.ndarray:
    name, value = ("sigma", sigma) if size is None else ("size", size)
    size = 2 * math.ceil(3 * sigma) + 1 if size is None else size
    _check_samples(op, size, name, value)
    weights = np.exp(-0.5 * ((np.arange(size) - size // 2) / sigma) ** 2)
    return weights / weights.sum()


def _check_samples(op: str, samples: int, name: str, value: float) -> None:
    """Raises a ValueError if a kernel would have more samples than are made here."""
    if samples > MOST_SAMPLES:
        raise ValueError(
            f"{op}: the kernel would have {samples} samples, more than {MOST_SAMPLES} (2**26), for "
            f"{name}={given(value)}; make it smaller"
        )
