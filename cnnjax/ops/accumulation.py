"""The dtype that sums are taken in."""

import jax.numpy as jnp
from jax.typing import DTypeLike


def sum_dtype(dtype: DTypeLike) -> jnp.dtype:
    """Returns the dtype to sum values of a floating `dtype` in: float32 for the half types."""
    return jnp.dtype(dtype if jnp.finfo(dtype).bits >= 32 else jnp.float32)
