"""The three passes of a convolution, each computed in the way that `dispatch` chooses.

They have no derivatives of their own: `rules.py` and `bilinear.py` join them to ops that have.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from cnnjax.ops import sizes
from cnnjax.ops.conv import dispatch
from cnnjax.ops.conv.spec import ConvSpec
from cnnjax.ops.materialize import materialized


def forward(x: jax.Array, kernel: jax.Array, *, spec: ConvSpec) -> jax.Array:
    """Returns x ⋆ k, (batch, height, width, filters).

    Args:
        x: images, NHWC.
        kernel: HWIO.
        spec: the convolution.
    """
    return dispatch.run("forward", spec, x.shape, kernel.shape, (), x, kernel)


def input_grad(
    grad: jax.Array, kernel: jax.Array, *, spec: ConvSpec, input_size: sizes.Size
) -> jax.Array:
    """Returns dL/dx, NHWC.

    Args:
        grad: dL/dy, NHWC.
        kernel: HWIO.
        spec: the convolution.
        input_size: height and width of the images.
    """
    shape = (grad.shape[0], *input_size, kernel.shape[2] * spec.groups)
    return dispatch.run("input_grad", spec, shape, kernel.shape, (input_size,), grad, kernel)


def kernel_grad(
    x: jax.Array, grad: jax.Array, *, spec: ConvSpec, kernel_size: sizes.Size
) -> jax.Array:
    """Returns dL/dk, HWIO.

    Args:
        x: images, NHWC.
        grad: dL/dy, NHWC.
        spec: the convolution.
        kernel_size: height and width of the kernel.
    """
    shape = (*kernel_size, x.shape[3] // spec.groups, grad.shape[3])
    # A sum over no images; lax would form a kernel without pixels.
    if x.shape[0] == 0:
        return jnp.zeros(shape, x.dtype)
    return dispatch.run("kernel_grad", spec, x.shape, shape, (kernel_size,), x, grad)


def kept_for_kernel_grad(
    x: jax.Array,
    witness: jax.Array,
    spec: ConvSpec,
    input_shape: tuple[int, ...],
    kernel_shape: tuple[int, ...],
) -> jax.Array:
    """Returns `x`; on CPU it is in memory where dL/dk transposes or shifts it.

    Args:
        x: images, in any layout.
        witness: the kernel, see `materialized`.
        spec: the convolution.
        input_shape: (batch, height, width, channels).
        kernel_shape: (height, width, channels / groups, filters).
    """
    # A product reads it from memory in any case.
    if dispatch.choose("kernel_grad", spec, input_shape, kernel_shape) == "matmul":
        return x
    return materialized(x, witness=witness)
