"""Checks of what the arrays of one op have to agree on: their dtype, and their channels."""

from __future__ import annotations

import jax
import jax.numpy as jnp

DTYPES = ("float32", "bfloat16", "float16", "float64")
"""The dtypes of convolutions and matrix products."""


def check_dtypes(op: str, **arrays: jax.Array) -> None:
    """Raises a TypeError unless the arrays share one of the floating dtypes in `DTYPES`.

    Args:
        op: the calling function, for the message.
        **arrays: the arrays to check, by the names of their arguments.
    """
    dtypes = {name: str(a.dtype) for name, a in arrays.items()}
    if len(set(dtypes.values())) != 1 or next(iter(dtypes.values())) not in DTYPES:
        listed = ", ".join(f"{name} {dtype}" for name, dtype in dtypes.items())
        raise TypeError(
            f"{op}: the arrays must share one dtype of {', '.join(DTYPES)}, got {listed}; "
            "cast one with .astype"
        )


def check_per_channel(op: str, x: jax.Array, **arrays: jax.Array) -> None:
    """Raises a ValueError unless each array has one value for each channel, the last axis of x.

    Args:
        op: the calling function, for the message.
        x: the activations.
        **arrays: the arrays to check, by the names of their arguments.
    """
    for name, values in arrays.items():
        # A scalar has no last axis.
        if jnp.ndim(x) < 1 or jnp.shape(values) != jnp.shape(x)[-1:]:
            raise ValueError(
                f"{op}: {name} must have one value per channel, shape {jnp.shape(x)[-1:]}, got "
                f"{jnp.shape(values)} for x of shape {jnp.shape(x)}"
            )
