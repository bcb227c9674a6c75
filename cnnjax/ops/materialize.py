"""Keeping an array in memory that several parts of a compiled program read.

XLA's CPU compiler computes a cheap elementwise producer (bias, batch norm, rectifier) again in
every loop that reads it. Where that loop is a transpose for dL/dk, or one shifted read among many,
computing again costs far more than reading. `lax.optimization_barrier` does not help: XLA
removes it before it merges loops. A loop whose result the compiler cannot know does help.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

from cnnjax.ops.platforms import by_platform

__all__ = ["materialized"]


def materialized(x: jax.Array, witness: jax.Array | None = None) -> jax.Array:
    """Returns `x`; on CPU it is computed once, and whatever uses the result reads it from memory.

    The values, and the derivatives of every order, are those of the identity. On other platforms
    nothing is done.

    Args:
        x: any array.
        witness: any floating array that the program computes on, the same on each device where the
            program runs on several; its first element keeps the compiler from knowing the result.
            None for `x` itself, which is then floating.
    """
    witness = x if witness is None else witness
    if 0 in x.shape or 0 in witness.shape:
        return x
    return _identity(x, _first(witness))


@jax.custom_jvp
def _identity(x: jax.Array, first: jax.Array) -> jax.Array:
    return by_platform(x, first, cpu=_loop, default=lambda x, first: x)


@_identity.defjvp
def _tangent(primals, tangents):
    return _identity(*primals), tangents[0]


def _loop(x: jax.Array, first: jax.Array) -> jax.Array:
    # Nothing exceeds infinity, and neither does NaN: the loop never runs, which the compiler cannot
    # know, since it does not assume it of a value that is read at run time.
    return lax.while_loop(lambda _: first > jnp.asarray(jnp.inf, first.dtype), lambda x: -x, x)


def _first(x: jax.Array) -> jax.Array:
    return lax.slice(x, (0,) * x.ndim, (1,) * x.ndim).reshape(())
