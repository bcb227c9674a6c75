"""The dtype that sums are taken in."""

import jax.numpy as jnp
from jax.typing import DTypeLike


def sum_dtype(dtype: DTypeLike) -> jnp.dtype:
    """Returns the dtype to sum values of `dtype` in: float32 for half types, others their own.

    Args:
        dtype: of the values.
    """
    narrow = jnp.issubdtype(dtype, jnp.floating) and jnp.dtype(dtype).itemsize < 4
    return jnp.dtype(jnp.float32 if narrow else dtype)
