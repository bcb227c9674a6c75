"""Convolution with a kernel of its own at every output pixel: local connections, unshared weights.

The windows are unrolled as in `im2col`, so that each of the three maps is one matrix product for
each output pixel.
"""

from __future__ import annotations

import dataclasses
import math

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from cnnjax.ops import sizes
from cnnjax.ops.accumulation import sum_dtype
from cnnjax.ops.agreement import check_dtypes
from cnnjax.ops.arguments.table import checked
from cnnjax.ops.checks import check_elements, pair
from cnnjax.ops.conv.algorithms.taps import all_taps, shifted, zero_pad
from cnnjax.ops.padding import is_zeros, padded
from cnnjax.ops.rules import make_op

__all__ = ["local_conv2d"]

_OP = "local_conv2d"


@dataclasses.dataclass(frozen=True)
class LocalSpec:
    """What defines a local convolution besides its arrays.

    Attributes:
        window: height and width of the kernels.
        strides: steps between windows, (rows, columns).
        pads: zeros added, ((top, bottom), (left, right)) in pixels.
        dilation: steps between kernel taps, (rows, columns).
        precision: lax's precision of the products.
    """

    window: sizes.Pair
    strides: sizes.Pair
    pads: sizes.Pads
    dilation: sizes.Pair
    precision: lax.PrecisionLike = None


@checked(
    x="array",
    kernel="array",
    kernel_size="pair",
    strides="pair",
    padding="padding",
    dilation="pair",
    padding_mode="padding mode",
    precision="precision",
    backward="backward",
)
def local_conv2d(
    x: Float[Array, "batch height width channels"],
    kernel: Float[Array, "out_height out_width weights filters"],
    kernel_size: sizes.PairLike,
    *,
    strides: sizes.PairLike = 1,
    padding: sizes.PaddingLike = "SAME",
    dilation: sizes.PairLike = 1,
    padding_mode: str | float = "zeros",
    precision: lax.PrecisionLike = None,
    backward: str = "ours",
) -> Float[Array, "batch out_height out_width filters"]:
    """Cross-correlates images with a kernel of its own at each output pixel.

    y(r, c) = Σ_a Σ_b x(r + a, c + b) k(r, c, a, b); the sum runs over the channels as well. Weights
    are not shared: a moved image does not give a moved result.

    Args:
        x: images, (batch, height, width, channels); float32, bfloat16, float16 or float64.
        kernel: (out_height, out_width, channels * kernel_height * kernel_width, filters), of the
            same dtype. The weights of one pixel are ordered by channel, row and column, the channel
            first: the layout of `lax.conv_general_dilated_local`.
        kernel_size: height and width of the kernels.
        strides: step between windows, an int or a pair.
        padding: as in `conv2d`.
        dilation: step between kernel taps, an int or a pair.
        padding_mode: as in `conv2d`.
        precision: lax's precision of the products.
        backward: "ours" for the rules written here, which store `x` and `kernel` alone; "native"
            for JAX's derivative, which forward mode needs.

    Returns:
        (batch, out_height, out_width, filters) in the dtype of `x`; the half types are summed in
        float32 and rounded once.

    Raises:
        ValueError: an argument is out of range, or the shapes do not fit.
        TypeError: the dtypes differ or are not floating.

    Example:
        >>> import jax.numpy as jnp
        >>> from cnnjax import ops
        >>> x = jnp.ones((1, 1, 3, 1))
        >>> kernel = jnp.array([1.0, 2.0, 3.0]).reshape(1, 3, 1, 1)
        >>> ops.local_conv2d(x, kernel, 1)[0, 0, :, 0]
        Array([1., 2., 3.], dtype=float32)

    Source: LeCun, 1989 ("Generalization and network design strategies", nets 3 and 4); Taigman et
    al., 2014 (DeepFace), section 2.2.
    """
    check_dtypes(_OP, x=x, kernel=kernel)
    spec = _parse(x, kernel, kernel_size, strides, padding, dilation, precision)
    if not is_zeros(padding_mode):
        x = padded(_OP, x, spec.pads, padding_mode)
        spec = dataclasses.replace(spec, pads=((0, 0), (0, 0)))
    return _local(x, kernel, spec=spec, backward=backward)


def _parse(x, kernel, kernel_size, strides, padding, dilation, precision) -> LocalSpec:
    """Returns the checked specification."""
    for name, array, meaning in (
        ("x", x, "(batch, height, width, channels)"),
        ("kernel", kernel, "(out_height, out_width, channels * height * width, filters)"),
    ):
        if array.ndim != 4:
            raise ValueError(f"{_OP}: {name} must have 4 axes {meaning}, got shape {array.shape}")
    window = pair(_OP, "kernel_size", kernel_size)
    strides = pair(_OP, "strides", strides)
    dilation = pair(_OP, "dilation", dilation)
    size = x.shape[1:3]
    pads = sizes.resolve_padding(_OP, padding, size, window, strides, dilation)
    rows = [n + low + high for n, (low, high) in zip(size, pads, strict=True)]
    given = dict(kernel_size=window, strides=strides, padding=padding, dilation=dilation)
    check_elements(_OP, "the padded images", (x.shape[0], *rows, x.shape[3]), **given)
    out = sizes.checked_output_size(_OP, size, window, strides, pads, dilation)
    weights = window[0] * window[1] * x.shape[3]
    check_elements(_OP, "the unrolled windows", (x.shape[0], *out, weights), **given)
    if kernel.shape[:3] != (*out, weights):
        raise ValueError(
            f"{_OP}: kernel must have the shape {(*out, weights)} and the filters, "
            f"(out_height, out_width, channels * height * width, filters), for x of {x.shape} with "
            f"kernel_size={window}, strides={strides}, padding={pads}, dilation={dilation}; got "
            f"{kernel.shape}"
        )
    return LocalSpec(window, strides, pads, dilation, precision)


def _forward(x: jax.Array, kernel: jax.Array, *, spec: LocalSpec) -> jax.Array:
    return _product("nrck,rckf->nrcf", _windows(x, spec, kernel.shape[:2]), kernel, spec)


def _backward(saved, grad, *, spec: LocalSpec):
    """dL/dk(r, c) = Σ_n window(r, c)ᵀ g(r, c); dL/dx adds up the windows g(r, c) k(r, c)ᵀ."""
    x, kernel = saved
    # Unrolled again: stored, the windows would take as much memory as the taps are many.
    windows = _windows(x, spec, kernel.shape[:2])
    kernel_grad = _product("nrck,nrcf->rckf", windows, grad, spec)
    wide = sum_dtype(x.dtype)
    columns = _product("nrcf,rckf->nrck", grad.astype(wide), kernel.astype(wide), spec)
    return _add_windows(columns, x.shape, spec).astype(x.dtype), kernel_grad


_local = make_op(_OP, _forward, _backward)


def _product(equation: str, left: jax.Array, right: jax.Array, spec: LocalSpec) -> jax.Array:
    wide = sum_dtype(left.dtype)
    return jnp.einsum(
        equation, left, right, precision=spec.precision, preferred_element_type=wide
    ).astype(left.dtype)


def _windows(x: jax.Array, spec: LocalSpec, out_size: sizes.Size) -> jax.Array:
    """Returns the window of each output pixel as a row: channel by channel, tap by tap."""
    pixels = zero_pad(x, spec.pads)
    taps = [
        shifted(pixels, tap, out_size, spec.strides, spec.dilation) for tap in all_taps(spec.window)
    ]
    return jnp.stack(taps, axis=-1).reshape(x.shape[0], *out_size, x.shape[3] * len(taps))


def _add_windows(columns: jax.Array, shape: tuple[int, ...], spec: LocalSpec) -> jax.Array:
    """Returns the sum of all windows, each at its place in images of `shape`: `_windows` turned."""
    batch, height, width, channels = shape
    taps = math.prod(spec.window)
    columns = columns.reshape(*columns.shape[:3], channels, taps)
    zero = jnp.zeros((), columns.dtype)
    padded_size = [
        n + low + high for n, (low, high) in zip((height, width), spec.pads, strict=True)
    ]
    total = jnp.zeros((batch, *padded_size, channels), columns.dtype)
    for number, tap in enumerate(all_taps(spec.window)):
        part = columns[..., number]
        config = [
            (t * d, length - t * d - sizes.span(n, s), s - 1)
            for t, d, length, n, s in zip(
                tap, spec.dilation, padded_size, part.shape[1:3], spec.strides, strict=True
            )
        ]
        total = total + lax.pad(part, zero, ((0, 0, 0), *config, (0, 0, 0)))
    (top, bottom), (left, right) = spec.pads
    return zero_pad(total, ((-top, -bottom), (-left, -right)))
