"""Checks of an op's arrays that several ops share: each raises an error that names the op."""

from __future__ import annotations

import jax
import jax.numpy as jnp

DTYPES = ("float32", "bfloat16", "float16", "float64")
"""The dtypes of convolutions and matrix products."""


def check_images(op: str, x: jax.Array) -> None:
    """Checks that `x` is a batch of floating-point images.

    Args:
        op: the calling function, for the message.
        x: the array to check.

    Raises:
        ValueError: `x` has another rank than 4 (NHWC) or another kind of dtype.
    """
    if jnp.ndim(x) != 4:
        raise ValueError(
            f"{op}: x must have 4 axes (batch, height, width, channels), got shape "
            f"{jnp.shape(x)}; add a batch axis with x[None] or use jax.vmap"
        )
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise ValueError(
            f"{op}: x must have a floating dtype, got {x.dtype}; cast it with x.astype(jnp.float32)"
        )


def check_dtypes(op: str, **arrays: jax.Array) -> None:
    """Raises a TypeError unless the arrays share one of the floating dtypes in `DTYPES`.

    Args:
        op: the calling function, for the message.
        **arrays: the arrays to check, by the names of their arguments.
    """
    dtypes = {name: jnp.dtype(a.dtype).name for name, a in arrays.items()}
    if len(set(dtypes.values())) != 1 or next(iter(dtypes.values())) not in DTYPES:
        given = ", ".join(f"{name} {dtype}" for name, dtype in dtypes.items())
        raise TypeError(
            f"{op}: the arrays must share one dtype of {', '.join(DTYPES)}, got {given}; "
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
                f"{jnp.shape(values)}"
            )
