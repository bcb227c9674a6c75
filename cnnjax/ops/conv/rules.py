"""The three bilinear maps of convolution, each with a backward rule made of the other two.

With y = x ⋆ k (cross-correlation, as every network uses it) and an upstream gradient g of y:

    dL/dx = g * k     `input_grad`:   true convolution, with the kernel flipped
    dL/dk = x ⋆ g     `kernel_grad`:  cross-correlation of the input and the upstream gradient

Each map is linear in both arguments and its two adjoints are the other two maps, so the family is
closed under differentiation: gradients of any order run on these rules alone.
"""

from __future__ import annotations

import jax

from cnnjax.ops import sizes
from cnnjax.ops.conv import dispatch, passes
from cnnjax.ops.conv.spec import ConvSpec
from cnnjax.ops.materialize import materialized
from cnnjax.ops.rules import make_op


def _native_forward(x: jax.Array, kernel: jax.Array, *, spec: ConvSpec) -> jax.Array:
    return dispatch.run_native("forward", spec, (), x, kernel)


def _forward_save(op, x, kernel, *, spec):
    x = passes.kept_for_kernel_grad(x, kernel, spec, x.shape, kernel.shape)
    return op(x, kernel), (x, kernel)


def _forward_backward(saved, grad, *, spec):
    x, kernel = saved
    # Both gradients read it.
    grad = materialized(grad, witness=kernel)
    return (
        input_grad(grad, kernel, spec=spec, input_size=x.shape[1:3]),
        kernel_grad(x, grad, spec=spec, kernel_size=kernel.shape[:2]),
    )


def _native_input_grad(
    grad: jax.Array, kernel: jax.Array, *, spec: ConvSpec, input_size: sizes.Size
) -> jax.Array:
    return dispatch.run_native("input_grad", spec, (input_size,), grad, kernel)


def _input_grad_backward(saved, cotangent, *, spec, input_size):
    del input_size
    grad, kernel = saved
    return (
        forward(cotangent, kernel, spec=spec),
        kernel_grad(cotangent, grad, spec=spec, kernel_size=kernel.shape[:2]),
    )


def _kernel_grad_backward(saved, cotangent, *, spec, kernel_size):
    del kernel_size
    x, grad = saved
    return (
        input_grad(grad, cotangent, spec=spec, input_size=x.shape[1:3]),
        forward(x, cotangent, spec=spec),
    )


# The public functions of the two gradients have no argument `backward`.
_ADVICE = (
    'differentiate conv2d(..., backward="native") with jax.vjp for {}, and that in forward mode'
)

forward = make_op(
    "conv2d", passes.forward, _forward_backward, save=_forward_save, native=_native_forward
)
"""`forward(x, kernel, spec=…)` is x ⋆ k, shape (batch, height, width, filters)."""

input_grad = make_op(
    "conv2d_input_grad",
    passes.input_grad,
    _input_grad_backward,
    native=_native_input_grad,
    advice=_ADVICE.format("dL/dx"),
)
"""`input_grad(grad, kernel, spec=…, input_size=…)` is dL/dx for images of (height, width)."""

kernel_grad = make_op(
    "conv2d_kernel_grad", passes.kernel_grad, _kernel_grad_backward, advice=_ADVICE.format("dL/dk")
)
"""`kernel_grad(x, grad, spec=…, kernel_size=…)` is dL/dk for a kernel of (height, width)."""
