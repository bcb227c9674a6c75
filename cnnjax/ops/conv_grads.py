"""The two gradients of a convolution as functions of their own: dL/dx and dL/dk."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from cnnjax.ops import conv_rules, conv_spec, sizes
from cnnjax.ops.padding import check_mode, is_zeros, pad_images


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
      strides: as in `conv2d`, and so are the arguments that follow.

    Returns:
      dL/dx in the shape `input_shape`.

    Raises:
      ValueError: an argument is out of range, or the shapes do not fit.
      TypeError: the dtypes differ or are not floating.
    """
    op = "conv2d_input_grad"
    conv_spec.check_dtypes(op, grad=grad, kernel=kernel)
    options = dict(
        strides=strides, dilation=dilation, groups=groups, precision=precision, algorithm=algorithm
    )
    input_shape = tuple(input_shape)
    spec, core, undo = _unpadded(
        op, input_shape, kernel.shape, padding, padding_mode, grad.dtype, options
    )
    _check_grad(op, grad.shape, input_shape, kernel.shape, core, spec)
    return undo(conv_rules.input_grad(spec, core, grad, kernel))


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
      strides: as in `conv2d`, and so are the arguments that follow.

    Returns:
      dL/dk in the shape `kernel_shape`; zeros for an empty batch.

    Raises:
      ValueError: an argument is out of range, or the shapes do not fit.
      TypeError: the dtypes differ or are not floating.
    """
    op = "conv2d_kernel_grad"
    conv_spec.check_dtypes(op, x=x, grad=grad)
    options = dict(
        strides=strides, dilation=dilation, groups=groups, precision=precision, algorithm=algorithm
    )
    kernel_shape = tuple(kernel_shape)
    check_mode(op, padding_mode)
    spec = conv_spec.parse(op, x.shape, kernel_shape, padding=padding, **options)
    if not is_zeros(padding_mode):
        x = pad_images(x, spec.padding, padding_mode)
        spec = conv_spec.parse(op, x.shape, kernel_shape, padding="VALID", **options)
    _check_grad(op, grad.shape, x.shape, kernel_shape, x.shape[1:3], spec)
    return conv_rules.kernel_grad(spec, kernel_shape[:2], x, grad)


def _unpadded(op, input_shape, kernel_shape, padding, mode, dtype, options):
    """Returns the specification, the size that it sees, and the adjoint of the padding."""
    check_mode(op, mode)
    spec = conv_spec.parse(op, input_shape, kernel_shape, padding=padding, **options)
    if is_zeros(mode):
        return spec, input_shape[1:3], lambda dx: dx
    zeros = jax.ShapeDtypeStruct(input_shape, dtype)
    padded, pads = jax.eval_shape(lambda x: pad_images(x, spec.padding, mode), zeros), spec.padding
    spec = conv_spec.parse(op, padded.shape, kernel_shape, padding="VALID", **options)

    def undo(dx):
        _, vjp = jax.vjp(lambda x: pad_images(x, pads, mode), jnp.zeros(input_shape, dtype))
        return vjp(dx)[0]

    return spec, padded.shape[1:3], undo


def _check_grad(op, grad_shape, input_shape, kernel_shape, size, spec):
    expected = (input_shape[0], *spec.output_size(size, kernel_shape[:2]), kernel_shape[3])
    if tuple(grad_shape) != expected:
        raise ValueError(
            f"{op}: grad must have the shape of the output, {expected}, for an input of "
            f"{tuple(input_shape)} and a kernel of {tuple(kernel_shape)}; got {tuple(grad_shape)}"
        )
