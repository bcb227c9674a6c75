"""A marker for operands whose derivative rule serves reverse mode only.

JAX refuses forward mode through a `custom_vjp`, but its error names neither the function nor what
to do instead. The marker is the identity. Its tangent map is a linear primitive that can be
transposed, which is all that reverse mode needs; forward mode has to compute it, and then it raises
an error of its own.
"""

from __future__ import annotations

from typing import cast

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

NATIVE = 'pass backward="native"'
"""What most ops offer for forward mode."""

# A primitive rather than a `custom_jvp`: `vmap` would map over the tangents of the latter, so that
# `grad` of `vmap` would look the same as `vmap` of `jvp`, which is what `jacfwd` is.
_marker = Primitive("reverse_mode_only")
_tangent = Primitive("reverse_mode_only_tangent")


def reverse_mode_only(op: str, advice: str, *operands: jax.Array) -> tuple[jax.Array, ...]:
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
