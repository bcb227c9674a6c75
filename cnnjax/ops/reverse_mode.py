"""A marker for operands whose derivative rule serves reverse mode only.

JAX refuses forward mode through a `custom_vjp` without saying which function it was, or what to do.
The marker is the identity. Its tangent map is a linear primitive that can be transposed, which is
all that reverse mode asks, and that explains itself when forward mode wants to compute it.
"""

from __future__ import annotations

from functools import partial
from typing import cast

import jax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

_tangent = Primitive("reverse_mode_only")


def reverse_mode_only(op: str, x: jax.Array) -> jax.Array:
    """Returns `x`; forward-mode differentiation through it is refused in the name of `op`.

    Raises:
      TypeError: `jax.jvp`, `jax.jacfwd` or the function that `jax.linearize` returns wants to
        compute a tangent of `x` (raised there, not here).
    """
    return cast(jax.Array, _identity(op, x))


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _identity(op: str, x: jax.Array) -> jax.Array:
    return x


@_identity.defjvp
def _jvp(op: str, primals, tangents):
    return primals[0], _tangent.bind(tangents[0], op=op)


def _refuse(*_, op: str, **__):
    raise TypeError(
        f"{op}: its backward rule serves reverse mode (jax.grad, jax.vjp) only; for forward mode "
        f'(jax.jvp, jax.jacfwd) call {op} with backward="native"'
    )


_tangent.def_impl(_refuse)
_tangent.def_abstract_eval(lambda aval, *, op: aval)
ad.deflinear2(_tangent, lambda cotangent, _, *, op: [cotangent])
batching.primitive_batchers[_tangent] = lambda args, dims, *, op: (
    _tangent.bind(args[0], op=op),
    dims[0],
)
mlir.register_lowering(_tangent, _refuse)
