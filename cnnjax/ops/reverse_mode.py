"""A function with a backward rule, and the marks that its operands need: `with_rule`.

JAX refuses forward mode through a `custom_vjp`, but its error names neither the function nor what
to do instead. So the operands are marked. The marker is the identity. Its tangent map is a linear
primitive that can be transposed, which is all that reverse mode needs; forward mode has to compute
it, and then it raises an error of its own.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, cast

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

NATIVE = 'pass backward="native"'
"""What most ops offer for forward mode."""

# A primitive rather than a `custom_jvp`: `vmap` would map over the tangents of the latter, so that
# `grad` of `vmap` would look the same as `vmap` of `jvp`, which is what `jacfwd` is.
_marker = Primitive("reverse_mode_only")
_tangent = Primitive("reverse_mode_only_tangent")


def with_rule(
    name: str,
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    save: Callable[..., tuple[Any, Any]],
) -> Callable[..., Any]:
    """Returns a function of operands that is differentiated by `backward`, in reverse mode alone.

    It takes (op, advice) for the message in forward mode, the settings, and the operands.

    Args:
        name: in jaxprs and profiles.
        forward: as in `make_op`.
        backward: as in `make_op`.
        save: as in `make_op`.
    """

    def compute(messages: tuple, settings: tuple, *operands: jax.Array) -> Any:
        del messages
        return forward(*operands, **dict(settings))

    def forward_rule(messages: tuple, settings: tuple, *operands: jax.Array) -> tuple[Any, Any]:
        again = functools.partial(rule, messages, settings)
        return save(again, *operands, **dict(settings))

    def backward_rule(messages: tuple, settings: tuple, saved: Any, grad: Any) -> Any:
        del messages
        return backward(saved, grad, **dict(settings))

    def call(messages: tuple[str, str], settings: dict[str, Any], *operands: jax.Array) -> Any:
        marked = _reverse_mode_only(*messages, *align_varying(*operands))
        # JAX compares what it does not differentiate by hash.
        return rule(messages, tuple(settings.items()), *marked)

    # Jaxprs and profiles show the name of the innermost of functions that wrap each other.
    inspect.unwrap(compute).__name__ = name
    rule = jax.custom_vjp(compute, nondiff_argnums=(0, 1))
    rule.defvjp(forward_rule, backward_rule)
    return call


def _reverse_mode_only(op: str, advice: str, *operands: jax.Array) -> tuple[jax.Array, ...]:
    """Returns the operands; forward-mode differentiation through them is refused in `op`'s name.

    Args:
        op: the function that the error names.
        advice: what to do in forward mode; the error ends with it.
        *operands: arrays. Those of integers, which have no tangents, are returned as they are.

    Raises:
        TypeError: `jax.jvp`, `jax.jacfwd` or the function that `jax.linearize` returns has to
            compute a tangent of an operand (raised there, not here).
    """
    return tuple(
        cast(jax.Array, _marker.bind(x, op=op, advice=advice))
        if jnp.issubdtype(x.dtype, jnp.inexact)
        else x
        for x in operands
    )


def align_varying(*arrays: jax.Array) -> tuple[jax.Array, ...]:
    """Returns the arrays, all marked as varying over the mesh axes that any of them varies over.

    Under `jax.shard_map` a replicated operand must be marked before a custom rule: the mark's own
    transpose is the sum of its gradient over those axes. Elsewhere nothing is done.

    Args:
        *arrays: the operands of one op.
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


def _refuse(*_, op: str, advice: str, **__):
    raise TypeError(
        f"{op}: its backward rule serves reverse mode (jax.grad, jax.vjp) only; for forward mode "
        f"(jax.jvp, jax.jacfwd, jax.hessian) {advice}"
    )


_marker.def_impl(lambda x, **_: x)
_marker.def_abstract_eval(lambda aval, **_: aval)
ad.primitive_jvps[_marker] = lambda primals, tangents, **names: (
    # Marked again: it may be differentiated a second time.
    _marker.bind(primals[0], **names),
    _tangent_of(tangents[0], **names),
)
batching.primitive_batchers[_marker] = lambda args, dims, **names: (
    _marker.bind(args[0], **names),
    dims[0],
)
mlir.register_lowering(_marker, lambda context, x, **_: [x])

_tangent.def_impl(_refuse)
_tangent.def_abstract_eval(lambda aval, **_: aval)
ad.deflinear2(_tangent, lambda cotangent, _, **__: [cotangent])
batching.primitive_batchers[_tangent] = _refuse  # Reverse mode never maps over a tangent.
mlir.register_lowering(_tangent, _refuse)


def _tangent_of(tangent, **names: str):
    # A tangent that is known to be zero needs no computation, in either mode.
    return tangent if type(tangent) is ad.Zero else _tangent.bind(tangent, **names)
