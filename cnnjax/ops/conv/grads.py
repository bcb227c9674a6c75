"""The two gradients of a convolution as functions of their own: dL/dx and dL/dk."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from cnnjax.ops import sizes
from cnnjax.ops.agreement import check_dtypes
from cnnjax.ops.arguments.table import CONVOLUTION, checked
from cnnjax.ops.checks import check_elements
from cnnjax.ops.conv import rules
from cnnjax.ops.conv.conv2d import prepare
from cnnjax.ops.padding import padded

_OPTIONS = {
    name: kind for name, kind in CONVOLUTION.items() if name not in ("x", "kernel", "backward")
}


@checked(grad="array", kernel="array", input_shape="shape", **_OPTIONS)
def conv2d_input_grad(
    grad: Float[Array, "batch out_height out_width filters"],
    kernel: Float[Array, "kernel_height kernel_width channels_per_group filters"],
    input_shape: tuple[int, int, int, int],
    *,
    strides: sizes.PairLike = 1,
    padding: sizes.PaddingLike = "SAME",
    dilation: sizes.PairLike = 1,
    groups: int = 1,
    padding_mode: str | float = "zeros",
    precision: lax.PrecisionLike = None,
    algorithm: str | None = None,
) -> Float[Array, "batch height width channels"]:
    """Returns dL/dx of `conv2d`: the true convolution of the upstream gradient with the kernel.

    dL/dx(r, c) = Σ_a Σ_b g(r - a, c - b) k(a, b), summed over the filters, where g is spread out
    by the stride.

    Args:
        grad: dL/dy, (batch, out_height, out_width, filters).
        kernel: the kernel of the forward pass, of the same dtype.
        input_shape: the shape of x in the forward pass.
        strides: as in `conv2d`.
        padding: as in `conv2d`.
        dilation: as in `conv2d`.
        groups: as in `conv2d`.
        padding_mode: as in `conv2d`.
        precision: as in `conv2d`.
        algorithm: as in `conv2d`.

    Returns:
        dL/dx in the shape `input_shape`.

    Raises:
        ValueError: an argument is out of range, or the shapes do not fit.
        TypeError: the dtypes differ or are not floating.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from cnnjax import ops
        >>> x, kernel, grad = jnp.ones((1, 5, 5, 1)), jnp.ones((3, 3, 1, 2)), jnp.ones((1, 5, 5, 2))
        >>> dx = ops.conv2d_input_grad(grad, kernel, x.shape)
        >>> bool(jnp.array_equal(dx, jax.vjp(ops.conv2d, x, kernel)[1](grad)[0]))
        True
    """
    op = "conv2d_input_grad"
    check_dtypes(op, grad=grad, kernel=kernel)
    check_elements(op, "the images", input_shape, input_shape=input_shape)
    options = dict(strides=strides, dilation=dilation, groups=groups, precision=precision)
    spec, pads = prepare(
        op, input_shape, kernel.shape, padding, padding_mode, algorithm=algorithm, **options
    )
    full = _padded_shape(input_shape, pads)
    _check_grad(op, grad.shape, full, kernel.shape, spec)
    dx = rules.input_grad(grad, kernel, spec=spec, input_size=full[1:3])
    if pads is None:
        return dx
    # Padding is linear: its transpose gives the gradients of copied edge pixels back to them.
    images = jnp.zeros(input_shape, grad.dtype)
    return jax.vjp(lambda x: padded(op, x, pads, padding_mode), images)[1](dx)[0]


@checked(x="array", grad="array", kernel_shape="shape", **_OPTIONS)
def conv2d_kernel_grad(
    x: Float[Array, "batch height width channels"],
    grad: Float[Array, "batch out_height out_width filters"],
    kernel_shape: tuple[int, int, int, int],
    *,
    strides: sizes.PairLike = 1,
    padding: sizes.PaddingLike = "SAME",
    dilation: sizes.PairLike = 1,
    groups: int = 1,
    padding_mode: str | float = "zeros",
    precision: lax.PrecisionLike = None,
    algorithm: str | None = None,
) -> Float[Array, "kernel_height kernel_width channels_per_group filters"]:
    """Returns dL/dk of `conv2d`: the cross-correlation of the input and the upstream gradient.

    dL/dk(a, b) = Σ_r Σ_c x(r·s + a, c·s + b) g(r, c), summed over the batch.

    Args:
        x: the input of the forward pass, (batch, height, width, channels).
        grad: dL/dy, (batch, out_height, out_width, filters), of the same dtype.
        kernel_shape: the shape of the kernel in the forward pass.
        strides: as in `conv2d`.
        padding: as in `conv2d`.
        dilation: as in `conv2d`.
        groups: as in `conv2d`.
        padding_mode: as in `conv2d`.
        precision: as in `conv2d`.
        algorithm: as in `conv2d`.

    Returns:
        dL/dk in the shape `kernel_shape`; zeros for an empty batch.

    Raises:
        ValueError: an argument is out of range, or the shapes do not fit.
        TypeError: the dtypes differ or are not floating.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from cnnjax import ops
        >>> x, kernel, grad = jnp.ones((1, 5, 5, 1)), jnp.ones((3, 3, 1, 2)), jnp.ones((1, 5, 5, 2))
        >>> dk = ops.conv2d_kernel_grad(x, grad, kernel.shape)
        >>> bool(jnp.array_equal(dk, jax.vjp(ops.conv2d, x, kernel)[1](grad)[1]))
        True
    """
    op = "conv2d_kernel_grad"
    check_dtypes(op, x=x, grad=grad)
    check_elements(op, "the kernel", kernel_shape, kernel_shape=kernel_shape)
    options = dict(strides=strides, dilation=dilation, groups=groups, precision=precision)
    spec, pads = prepare(
        op, x.shape, kernel_shape, padding, padding_mode, algorithm=algorithm, **options
    )
    _check_grad(op, grad.shape, _padded_shape(x.shape, pads), kernel_shape, spec)
    x = padded(op, x, pads, padding_mode) if pads else x
    return rules.kernel_grad(x, grad, spec=spec, kernel_size=tuple(kernel_shape[:2]))


def _padded_shape(shape, pads):
    (top, bottom), (left, right) = pads or ((0, 0), (0, 0))
    return (shape[0], shape[1] + top + bottom, shape[2] + left + right, shape[3])


def _check_grad(op, grad_shape, input_shape, kernel_shape, spec):
    size = spec.output_size(input_shape[1:3], kernel_shape[:2])
    expected = (input_shape[0], *size, kernel_shape[3])
    if tuple(grad_shape) != expected:
        raise ValueError(
            f"{op}: grad must have the shape of the output, {expected}, for a kernel of "
            f"{tuple(kernel_shape)} over (padded) images x of {tuple(input_shape)} with "
            f"strides={spec.strides}, padding={spec.padding}, dilation={spec.dilation}; "
            f"got {tuple(grad_shape)}"
        )
