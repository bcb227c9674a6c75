"""Convolutional networks in JAX and Flax, with hand-derived backward rules.

The packages are loaded when they are first used: `from cnnjax import ops` loads no Flax.
"""

import importlib
from typing import TYPE_CHECKING, Any

from cnnjax import compiler

# Before jax starts its backend, and so before anything else.
compiler.guard()

__version__ = "0.1.0"

if TYPE_CHECKING:
    from cnnjax import (
        analysis,
        data,
        inference,
        models,
        nn,
        ops,
        recipes,
        reports,
        search,
        studies,
        tasks,
        training,
    )

__all__ = [
    "analysis",
    "compiler",
    "data",
    "inference",
    "models",
    "nn",
    "ops",
    "recipes",
    "reports",
    "search",
    "studies",
    "tasks",
    "training",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return importlib.import_module(f"cnnjax.{name}")
    raise AttributeError(f"module 'cnnjax' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
