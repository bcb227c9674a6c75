"""The programs within a traced program: those that run on an operation's own operands."""

from collections.abc import Mapping
from typing import Any

from jax.extend.core import (
    ClosedJaxpr,  # pyright: ignore[reportPrivateImportUsage] (JAX 0.12 does not list it)
    Jaxpr,
)

# Operations that run an inner program on their own operands.
_INLINED = frozenset(
    {
        "jit",
        "pjit",
        "closed_call",
        "core_call",
        "custom_jvp_call",
        "custom_vjp_call",
        "custom_vjp_call_jaxpr",
        "checkpoint",
        "remat2",
        "remat",
    }
)


def inner_program(name: str, params: Mapping[str, Any]) -> Jaxpr | None:
    """Returns the program that an operation runs on its own operands; None if it runs none.

    Args:
        name: of the primitive.
        params: the equation's parameters.
    """
    if name not in _INLINED:
        return None
    # The parameter's name differs between primitives and between versions of JAX.
    for key in ("jaxpr", "call_jaxpr", "fun_jaxpr"):
        if key in params:
            inner = params[key]
            return inner.jaxpr if isinstance(inner, ClosedJaxpr) else inner
    return None


def general_branch(name: str, params: Mapping[str, Any]) -> Jaxpr | None:
    """Returns a condition's branch for platforms without their own; None for conditions on data.

    Args:
        name: of the primitive.
        params: the equation's parameters.
    """
    if name != "cond":
        return None
    for branch, platforms in zip(
        params["branches"], params.get("branches_platforms") or (), strict=False
    ):
        if platforms is None:
            return branch.jaxpr
    return None
