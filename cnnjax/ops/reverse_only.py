"""An identity that says, in forward mode, why forward mode is not there and what to do.

JAX itself refuses forward-mode differentiation of a `custom_vjp` function, late and without a
remedy. Arguments that pass through `reverse_only` first give an error that names one.
"""

from __future__ import annotations

import jax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

_tangent_p = Primitive("reverse_only_tangent")
_tangent_p.def_abstract_eval(lambda tangent: tangent)


def _refuse(*_, **__):
    raise TypeError(
        "the hand-derived backward rules of cnnjax.ops are for reverse mode (jax.grad, jax.vjp); "
        'for forward mode (jax.jvp, jax.jacfwd, jax.hessian) pass backward="native"'
    )


_tangent_p.def_impl(_refuse)
mlir.register_lowering(_tangent_p, _refuse)
# Reverse mode only ever transposes the tangent, which passes it on unchanged.
ad.deflinear2(_tangent_p, lambda cotangent, _: [cotangent])
batching.primitive_batchers[_tangent_p] = _refuse  # Reverse mode never maps over a tangent.


@jax.custom_jvp
def reverse_only(x: jax.Array) -> jax.Array:
    """Returns x; differentiating it in forward mode raises a TypeError that names the remedy."""
    return x


@reverse_only.defjvp
def _reverse_only_jvp(primals, tangents):
    return reverse_only(primals[0]), _tangent_p.bind(tangents[0])
