"""A marker for operands whose derivative rule serves reverse mode only.

JAX refuses forward mode through a `custom_vjp` without saying which function it was, or what to do.
The marker is the identity. Its tangent map is a linear primitive that can be transposed, which is
all that reverse mode asks, and that explains itself when forward mode wants to compute it.
"""

from __future__ import annotations

from typing import cast

import jax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

# A primitive rather than a `custom_jvp`, whose tangents `vmap` would map over: `grad` of `vmap`
# could then not be told from `vmap` of `jvp`, which is what `jacfwd` is.
_marker = Primitive("reverse_mode_only")
_tangent = Primitive("reverse_mode_only_tangent")


def reverse_mode_only(op: str, x: jax.Array) -> jax.Array:
    """Returns `x`; forward-mode differentiation through it is refused in the name of `op`.

    Raises:
        TypeError: `jax.jvp`, `jax.jacfwd` or the function that `jax.linearize` returns wants to
            compute a tangent of `x` (raised there, not here).
    """
    return cast(jax.Array, _marker.bind(x, op=op))


def _refuse(*_, op: str, **__):
    raise TypeError(
        f"{op}: its backward rule serves reverse mode (jax.grad, jax.vjp) only; for forward mode "
        f'(jax.jvp, jax.jacfwd, jax.hessian) pass backward="native"'
    )


_marker.def_impl(lambda x, *, op: x)
_marker.def_abstract_eval(lambda aval, *, op: aval)
ad.primitive_jvps[_marker] = lambda primals, tangents, *, op: (
    # Marked again: it may be differentiated a second time.
    _marker.bind(primals[0], op=op),
    _tangent_of(tangents[0], op),
)
batching.primitive_batchers[_marker] = lambda args, dims, *, op: (
    _marker.bind(args[0], op=op),
    dims[0],
)
mlir.register_lowering(_marker, lambda context, x, *, op: [x])

_tangent.def_impl(_refuse)
_tangent.def_abstract_eval(lambda aval, *, op: aval)
ad.deflinear2(_tangent, lambda cotangent, _, *, op: [cotangent])
batching.primitive_batchers[_tangent] = _refuse  # Reverse mode never maps over a tangent.
mlir.register_lowering(_tangent, _refuse)


def _tangent_of(tangent, op: str):
    return tangent if type(tangent) is ad.Zero else _tangent.bind(tangent, op=op)
