"""The three bilinear maps of convolution, each with a backward rule made of the other two.

With y = x ⋆ k (cross-correlation, as every network uses it) and an upstream gradient g of y:

    dL/dx = g * k     `input_grad`:   true convolution, with the kernel flipped
    dL/dk = x ⋆ g     `kernel_grad`:  cross-correlation of the input and the upstream gradient

Each map is linear in both arguments and its two adjoints are the other two maps, so the family is
closed under differentiation: gradients of any order run on these rules alone.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

from cnnjax.ops import sizes
from cnnjax.ops.conv import dispatch
from cnnjax.ops.conv.spec import ConvSpec
from cnnjax.ops.materialize import materialized
from cnnjax.ops.reverse_mode import reverse_mode_only


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _conv2d(spec: ConvSpec, x: jax.Array, kernel: jax.Array) -> jax.Array:
    return dispatch.run("forward", spec, x.shape, kernel.shape, (), x, kernel)


def _conv2d_fwd(spec, x, kernel):
    if dispatch.choose("kernel_grad", spec, x.shape, kernel.shape) != "matmul":
        # dL/dk transposes or shifts x; a product reads it from memory in any case.
        x = materialized(x, witness=kernel)
    return _conv2d(spec, x, kernel), (x, kernel)


def _conv2d_bwd(spec, saved, grad):
    x, kernel = saved
    grad = materialized(grad, witness=kernel)
    return (
        input_grad(spec, x.shape[1:3], grad, kernel),
        kernel_grad(spec, kernel.shape[:2], x, grad),
    )


_conv2d.defvjp(_conv2d_fwd, _conv2d_bwd)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _conv2d_input_grad(
    spec: ConvSpec, input_size: sizes.Size, grad: jax.Array, kernel: jax.Array
) -> jax.Array:
    shape = (grad.shape[0], *input_size, kernel.shape[2] * spec.groups)
    return dispatch.run("input_grad", spec, shape, kernel.shape, (input_size,), grad, kernel)


def _conv2d_input_grad_fwd(spec, input_size, grad, kernel):
    return _conv2d_input_grad(spec, input_size, grad, kernel), (grad, kernel)


def _conv2d_input_grad_bwd(spec, input_size, saved, cotangent):
    grad, kernel = saved
    return (
        forward(spec, cotangent, kernel),
        kernel_grad(spec, kernel.shape[:2], cotangent, grad),
    )


_conv2d_input_grad.defvjp(_conv2d_input_grad_fwd, _conv2d_input_grad_bwd)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _conv2d_kernel_grad(
    spec: ConvSpec, kernel_size: sizes.Size, x: jax.Array, grad: jax.Array
) -> jax.Array:
    shape = (*kernel_size, x.shape[3] // spec.groups, grad.shape[3])
    if x.shape[0] == 0:  # A sum over no images; lax would form a kernel without pixels.
        return jnp.zeros(shape, x.dtype)
    return dispatch.run("kernel_grad", spec, x.shape, shape, (kernel_size,), x, grad)


def _conv2d_kernel_grad_fwd(spec, kernel_size, x, grad):
    return _conv2d_kernel_grad(spec, kernel_size, x, grad), (x, grad)


def _conv2d_kernel_grad_bwd(spec, kernel_size, saved, cotangent):
    x, grad = saved
    return (
        input_grad(spec, x.shape[1:3], grad, cotangent),
        forward(spec, x, cotangent),
    )


_conv2d_kernel_grad.defvjp(_conv2d_kernel_grad_fwd, _conv2d_kernel_grad_bwd)


@jax.named_scope("conv2d")
def forward(spec: ConvSpec, x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Returns x ⋆ k, shape (batch, height, width, filters)."""
    return _conv2d(spec, *_ready("conv2d", x, kernel))


@jax.named_scope("conv2d_input_grad")
def input_grad(
    spec: ConvSpec, input_size: sizes.Size, grad: jax.Array, kernel: jax.Array
) -> jax.Array:
    """Returns dL/dx of `forward` for an input of `input_size` (height, width)."""
    return _conv2d_input_grad(spec, tuple(input_size), *_ready("conv2d_input_grad", grad, kernel))


@jax.named_scope("conv2d_kernel_grad")
def kernel_grad(
    spec: ConvSpec, kernel_size: sizes.Size, x: jax.Array, grad: jax.Array
) -> jax.Array:
    """Returns dL/dk of `forward` for a kernel of `kernel_size` (height, width)."""
    return _conv2d_kernel_grad(spec, tuple(kernel_size), *_ready("conv2d_kernel_grad", x, grad))


def _ready(op: str, *arrays: jax.Array) -> tuple[jax.Array, ...]:
    return tuple(reverse_mode_only(op, a) for a in align_varying(*arrays))


def align_varying(*arrays: jax.Array) -> tuple[jax.Array, ...]:
    """Returns the arrays, all marked as varying over the mesh axes that any of them varies over.

    Under `jax.shard_map` a replicated operand must be marked before a custom rule: the mark's own
    transpose is the sum of its gradient over those axes. Elsewhere nothing is done.
    """
    varying = [_varying_axes(a) for a in arrays]
    every = frozenset().union(*varying)
    return tuple(
        lax.pcast(a, tuple(sorted(every - own)), to="varying") if every - own else a
        for a, own in zip(arrays, varying, strict=True)
    )


def _varying_axes(x: jax.Array) -> frozenset[str]:
    # JAX moved the set from `vma` to `manual_axis_type.varying`.
    aval = jax.typeof(x)
    manual = getattr(aval, "manual_axis_type", None)
    return frozenset(getattr(aval, "vma", ()) if manual is None else manual.varying)
