"""Which form of an operation is compiled: CPUs are served by others than all other platforms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
from jax import lax

# A user context: it is part of the key of jit's caches, so that a function that was traced within
# is traced again without.
for_cpu_alone = jax.make_user_context(False)
"""`with for_cpu_alone(True):` what is traced is compiled for CPUs and for no other platform."""


def by_platform(*arguments: Any, cpu: Callable[..., Any], default: Callable[..., Any]) -> Any:
    """Returns `cpu(*arguments)` in programs for CPUs, and `default(*arguments)` in all others.

    `lax.platform_dependent` traces both, since a program may be compiled for several platforms. One
    that is for CPUs alone is traced in less time: the other form is left out.

    Args:
        *arguments: of both.
        cpu: a function of arrays.
        default: a function of the same arrays, whose result has the same shapes and dtypes.
    """
    if for_cpu_alone.value:
        return cpu(*arguments)
    return lax.platform_dependent(*arguments, cpu=cpu, default=default)
