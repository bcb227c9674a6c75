"""Convolution in any layout as three primitives of JAX, each the transpose of the two others.

`cnnjax.ops.conv.rules` gives `conv2d` its backward rule by `custom_vjp`, which forward mode cannot
pass, and which `vmap` maps example by example: a loss over `vmap` of a network would form a
kernel's gradient for each example before it sums them. What other libraries call has to serve both.
Convolution is linear in each of its operands, so JAX needs no more than the products and their
transposes. (`jax.experimental.hijax` gives an op rules for both modes too, but JAX 0.10 and 0.12
name its classes differently.)

On CPU the primitives compute by the measured formulations, elsewhere by lax's form in the same
layout. The first has the name and the parameters of lax's own, by which programs are analyzed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from cnnjax.ops.conv import passes
from cnnjax.ops.conv.algorithms import direct
from cnnjax.ops.conv.layouts import image_axes, kernel_axes, run, sizes_of
from cnnjax.ops.conv.spec import ConvSpec
from cnnjax.ops.materialize import materialized
from cnnjax.ops.reverse_mode import align_varying

Numbers = lax.ConvDimensionNumbers

_forward_p = Primitive("conv_general_dilated")
_input_grad_p = Primitive("conv_input_grad")
_kernel_grad_p = Primitive("conv_kernel_grad")
_tangent_p = Primitive("conv_tangent")


def convolve(x: jax.Array, kernel: jax.Array, spec: ConvSpec, numbers: Numbers) -> jax.Array:
    """Returns the convolution; it can be differentiated in both modes, and mapped.

    Args:
        x: images, their axes as `numbers` states.
        kernel: the kernel, of the same dtype.
        spec: the convolution; it names no algorithm.
        numbers: the places of the axes.
    """
    params = {
        "window_strides": spec.strides,
        "padding": spec.padding,
        "lhs_dilation": (1, 1),
        "rhs_dilation": spec.dilation,
        "dimension_numbers": numbers,
        "feature_group_count": spec.groups,
        "batch_group_count": 1,
        "precision": spec.precision,
        "preferred_element_type": None,
        "batch_axis": spec.batch_axis,
    }
    with jax.named_scope("conv2d"):
        return _forward_p.bind(*align_varying(x, kernel), **params)


# What the primitives compute.


def _forward(x, kernel, **params):
    lhs, rhs, out = params["dimension_numbers"]
    arrays = {"x": (x, image_axes(lhs)), "kernel": (kernel, kernel_axes(rhs))}
    return run("forward", _spec(params), params["dimension_numbers"], arrays, image_axes(out))


def _input_grad(grad, kernel, *, input_size, **params):
    lhs, rhs, out = params["dimension_numbers"]
    arrays = {"grad": (grad, image_axes(out)), "kernel": (kernel, kernel_axes(rhs))}
    return run(
        "input_grad",
        _spec(params),
        params["dimension_numbers"],
        arrays,
        image_axes(lhs),
        input_size=input_size,
    )


def _kernel_grad(x, grad, *, kernel_size, **params):
    lhs, rhs, out = params["dimension_numbers"]
    arrays = {"x": (x, image_axes(lhs)), "grad": (grad, image_axes(out))}
    return run(
        "kernel_grad",
        _spec(params),
        params["dimension_numbers"],
        arrays,
        kernel_axes(rhs),
        kernel_size=kernel_size,
    )


def _spec(params: Mapping[str, Any]) -> ConvSpec:
    return ConvSpec(
        strides=params["window_strides"],
        padding=params["padding"],
        dilation=params["rhs_dilation"],
        groups=params["feature_group_count"],
        precision=params["precision"],
        batch_axis=params["batch_axis"],
    )


# The shapes of their results.


def _forward_shape(x, kernel, **params):
    lhs, rhs, out = params["dimension_numbers"]
    size = _spec(params).output_size(sizes_of(x, lhs[2:]), sizes_of(kernel, rhs[2:]))
    return _like(x, {out[0]: x.shape[lhs[0]], out[1]: kernel.shape[rhs[0]]}, out, size)


def _input_grad_shape(grad, kernel, *, input_size, **params):
    lhs, rhs, out = params["dimension_numbers"]
    channels = kernel.shape[rhs[1]] * params["feature_group_count"]
    return _like(grad, {lhs[0]: grad.shape[out[0]], lhs[1]: channels}, lhs, input_size)


def _kernel_grad_shape(x, grad, *, kernel_size, **params):
    lhs, rhs, out = params["dimension_numbers"]
    channels = x.shape[lhs[1]] // params["feature_group_count"]
    return _like(x, {rhs[0]: grad.shape[out[1]], rhs[1]: channels}, rhs, kernel_size)


def _like(aval: Any, two: Mapping[int, int], axes: tuple[int, ...], window: Any) -> Any:
    """Returns an abstract value with other sizes, which varies over the same mesh axes."""
    sizes = dict(two) | dict(zip(axes[2:], window, strict=True))
    return aval.update(shape=tuple(sizes[axis] for axis in range(4)), weak_type=False)


# Their derivatives. Each is linear in both operands.


def _forward_jvp(primals, tangents, **params):
    (x, kernel), (dx, dkernel) = primals, tangents
    needs_x = type(dkernel) is not ad.Zero
    if needs_x:
        lhs, rhs, _ = params["dimension_numbers"]
        shapes = sizes_of(x, image_axes(lhs)), sizes_of(kernel, kernel_axes(rhs))
        x = passes.kept_for_kernel_grad(x, kernel, _spec(params), *shapes)
    y = _forward_p.bind(x, kernel, **params)
    parts = [_forward_p.bind(x, dkernel, **params)] if needs_x else []
    if type(dx) is not ad.Zero:
        parts.append(_forward_p.bind(dx, kernel, **params))
    # JAX calls this where one of the tangents, at least, is not zero.
    if len(parts) == 1:
        return y, parts[0]
    # Transposed, it is the gradient that both transposes read.
    return y, _tangent_p.bind(lax.add(*parts), kernel)


def _forward_of_x(grad, x, kernel, **params):
    size = sizes_of(x.aval, params["dimension_numbers"].lhs_spec[2:])
    return _input_grad_p.bind(grad, kernel, input_size=size, **params)


def _forward_of_kernel(grad, x, kernel, **params):
    size = sizes_of(kernel.aval, params["dimension_numbers"].rhs_spec[2:])
    return _kernel_grad_p.bind(x, grad, kernel_size=size, **params)


def _input_grad_of_grad(cotangent, grad, kernel, *, input_size, **params):
    return _forward_p.bind(cotangent, kernel, **params)


def _input_grad_of_kernel(cotangent, grad, kernel, *, input_size, **params):
    size = sizes_of(kernel.aval, params["dimension_numbers"].rhs_spec[2:])
    return _kernel_grad_p.bind(cotangent, grad, kernel_size=size, **params)


def _kernel_grad_of_x(cotangent, x, grad, *, kernel_size, **params):
    size = sizes_of(x.aval, params["dimension_numbers"].lhs_spec[2:])
    return _input_grad_p.bind(grad, cotangent, input_size=size, **params)


def _kernel_grad_of_grad(cotangent, x, grad, *, kernel_size, **params):
    return _forward_p.bind(x, cotangent, **params)


# What `vmap` makes of them. A mapped axis of examples becomes a part of the batch; where the kernel
# or its gradient is mapped too, lax's own form is mapped, with its derivatives.


def _mapped(
    primitive: Primitive, name: str, role: str, result: str, args: Any, dims: Any, **params: Any
) -> tuple[jax.Array, int]:
    numbers = params["dimension_numbers"]
    examples, others = args
    if name != "kernel_grad" and dims[1] is None:
        at = getattr(numbers, role)[0]
        examples = jnp.moveaxis(examples, dims[0], at)
        shape = examples.shape
        folded = examples.reshape(*shape[:at], shape[at] * shape[at + 1], *shape[at + 2 :])
        y = primitive.bind(folded, others, **params)
        to = getattr(numbers, result)[0]
        return y.reshape(*y.shape[:to], *shape[at : at + 2], *y.shape[to + 1 :]), to
    size = [params[key] for key in ("input_size", "kernel_size") if key in params]
    own = partial(getattr(direct, name), _spec(params), *size, numbers=numbers)
    return jax.vmap(own, dims)(examples, others), 0


def _define(
    primitive: Primitive,
    compute: Callable[..., jax.Array],
    shape: Callable[..., Any],
    of_first: Callable[..., jax.Array],
    of_second: Callable[..., jax.Array],
    *mapping: str,
) -> None:
    primitive.def_impl(compute)
    primitive.def_abstract_eval(shape)
    mlir.register_lowering(primitive, mlir.lower_fun(compute, multiple_results=False))
    ad.defbilinear(primitive, of_first, of_second)
    batching.primitive_batchers[primitive] = partial(_mapped, primitive, *mapping)


_define(
    *(_forward_p, _forward, _forward_shape, _forward_of_x, _forward_of_kernel),
    *("forward", "lhs_spec", "out_spec"),
)
_define(
    *(_input_grad_p, _input_grad, _input_grad_shape, _input_grad_of_grad, _input_grad_of_kernel),
    *("input_grad", "out_spec", "lhs_spec"),
)
_define(
    *(_kernel_grad_p, _kernel_grad, _kernel_grad_shape, _kernel_grad_of_x, _kernel_grad_of_grad),
    *("kernel_grad", "lhs_spec", "rhs_spec"),
)
ad.primitive_jvps[_forward_p] = _forward_jvp


# The identity of its first operand; transposed, it keeps a gradient in memory for two readers.
def _first(tangent, witness):
    return tangent


def _first_jvp(primals, tangents):
    # The witness counts as a constant.
    tangent = tangents[0]
    if type(tangent) is not ad.Zero:
        tangent = _tangent_p.bind(tangent, primals[1])
    return _tangent_p.bind(*primals), tangent


def _mapped_first(args, dims):
    # The witness is a number that the compiler cannot know: any example's will do.
    witness = args[1] if dims[1] is None else jnp.take(args[1], 0, dims[1])
    if dims[0] is None:
        return args[0], dims[0]
    return _tangent_p.bind(args[0], witness), dims[0]


_tangent_p.def_impl(_first)
_tangent_p.def_abstract_eval(_first)
mlir.register_lowering(_tangent_p, lambda context, tangent, witness: [tangent])
ad.deflinear2(_tangent_p, lambda grad, _, witness: [materialized(grad, witness), None])
ad.primitive_jvps[_tangent_p] = _first_jvp
batching.primitive_batchers[_tangent_p] = _mapped_first
