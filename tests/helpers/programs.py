"""What the compiler makes of a function: the program's text, and the memory that it needs."""

import contextlib
import functools
import os
from collections.abc import Callable, Iterator
from typing import Any

import jax

quickly = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
"""`jax.jit` without the compiler's slow passes; the values are the same up to rounding."""


def compile_quickly(quick: bool) -> None:
    """Sets whether everything is compiled without the compiler's slow passes from now on."""
    jax.config.update("jax_disable_most_optimizations", quick)


@contextlib.contextmanager
def all_optimizations() -> Iterator[None]:
    """Compiles with all passes, in this process and those that it starts."""
    before = os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"]
    os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "0"
    compile_quickly(False)
    try:
        yield
    finally:
        os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = before
        compile_quickly(before != "0")


def program_text(function: Callable[..., Any], *arguments: Any) -> str:
    """Returns the compiled program of a function, jitted or not, as text."""
    text = _compiled(function, arguments).as_text()
    assert text is not None
    return text


def temporary_bytes(function: Callable[..., Any], *arguments: Any) -> int:
    """Returns how many bytes the compiled program needs besides its arguments and results."""
    analysis = _compiled(function, arguments).memory_analysis()
    assert analysis is not None
    return analysis.temp_size_in_bytes


def _compiled(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    jitted: Any = function if hasattr(function, "lower") else jax.jit(function)
    return jitted.lower(*arguments).compile()
