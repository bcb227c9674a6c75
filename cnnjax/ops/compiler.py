"""The compiler options under which the CPU formulations are at their best."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp

# XLA's CPU compiler hands float32 convolutions and matrix products to YNNPACK, which is fast at
# forward convolutions and slow where the sum is long, as in dL/dk. Empty: it hands over nothing.
_YNNPACK_OFF = {"xla_cpu_experimental_ynn_fusion_type": ""}


@functools.cache
def compiler_options(platform: str | None = None) -> dict[str, str]:
    """Returns options for `jax.jit(step, compiler_options=...)` of a top-level function.

    Args:
      platform: "cpu", "gpu" or "tpu"; None for the default backend.

    Returns:
      The measured options for CPU where this version of XLA knows them, otherwise none. Only
      speed depends on them.
    """
    if (platform or jax.default_backend()) != "cpu":
        return {}
    try:
        probe = jax.jit(lambda x: x + 1, compiler_options=_YNNPACK_OFF)
        probe.lower(jax.ShapeDtypeStruct((), jnp.float32)).compile()
    except (jax.errors.JaxRuntimeError, ValueError):
        return {}
    return dict(_YNNPACK_OFF)
