"""Keeps XLA's CPU compiler from returning wrong numbers: docs/compiler.md shows which ones.

`import cnnjax` calls `guard` before anything else. Nothing but the standard library is imported
here, so that XLA_FLAGS is set before jax is loaded.
"""

from __future__ import annotations

import functools
import os
import sys
import warnings
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

OPTION = "xla_cpu_experimental_ynn_fusion_type"
"""What XLA hands to YNNPACK as fused programs, some of which are wrong; empty: nothing."""

FLAG = f"--{OPTION}="

LEVEL = "xla_backend_optimization_level"
"""How much LLVM optimizes, 0 to 3. At 1 it returned the same initial weights in a third of the
time (docs/speed.md)."""

OPT_OUT = "CNNJAX_KEEP_XLA_FLAGS"

# Exact versions: XLA ends the process at a flag that it does not know.
TRIED_JAXLIB = ("0.10.0", "0.10.1", "0.10.2", "0.11.0", "0.11.1", "0.11.2", "0.12.0", "0.12.0.1")
"""Versions that know the flag and return right numbers with it; 0.10.2 and later need it."""

TRIED_READERS = {
    "tensorflow": ("2.21.0",),
    "tensorflow-cpu": ("2.21.0",),
    "tf-nightly": (),
    "torch-xla": (),
}
"""Other packages with an XLA of their own that reads XLA_FLAGS, and versions that know the flag."""


def guard() -> None:
    """Puts the flag that turns the faulty fusions off into XLA_FLAGS, where that is safe.

    XLA reads the variable when jax starts its backend, so that `import jax` may come first, but no
    computation. Nothing is changed if the variable has the flag already or if
    CNNJAX_KEEP_XLA_FLAGS=1.

    Warns:
        UserWarning: nothing was set, since jaxlib or another package that reads XLA_FLAGS is of a
            version that was not tried, since jax's CPU backend has already started, or since
            XLA_FLAGS names a file.
    """
    if os.environ.get(OPT_OUT, "") not in ("", "0") or _users_value() is not None:
        return
    obstacle = _obstacle()
    if obstacle is None:
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {FLAG}".strip()
    else:
        warnings.warn(
            f"cnnjax: {obstacle} Until then jitted programs on the CPU may return wrong numbers "
            "(docs/compiler.md); those of cnnjax itself are compiled without the faulty fusions "
            f"where XLA can. {OPT_OUT}=1 leaves XLA_FLAGS alone, without this warning.",
            # The line that imports cnnjax: `guard` is called by the package's own `__init__`.
            stacklevel=3,
        )


def compiler_options(platform: str | None = None) -> dict[str, str | bool]:
    """Returns options for `jax.jit(step, compiler_options=...)` of a top-level function.

    They keep XLA's CPU compiler from fusions that return wrong numbers, also in a process whose
    XLA_FLAGS came too late. They are the faster choice as well: YNNPACK is slow where a sum is
    long, as in dL/dk.

    Args:
        platform: "cpu", "gpu" or "tpu"; None for the default backend, which is started.

    Returns:
        The option for CPU, where this version of XLA knows it and XLA_FLAGS does not choose
        fusions by name; otherwise none.

    Raises:
        TypeError: `platform` is no name.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from cnnjax import ops
        >>> step = jax.jit(jnp.square, compiler_options=ops.compiler_options())
        >>> float(step(3.0))
        9.0
    """
    import jax

    if platform is not None and (not isinstance(platform, str) or not platform):
        raise TypeError(
            f"compiler_options: platform must be None or a name such as 'cpu', got {platform!r}"
        )
    if (platform or jax.default_backend()) != "cpu" or _users_value():
        return {}
    return {OPTION: ""} if _knows_option() else {}


def jit(
    function: Callable[Parameters, Result], *, runs_once: bool = False, **options: Any
) -> Callable[Parameters, Result]:
    """Returns `jax.jit(function, **options)` with `compiler_options()` where jax takes them.

    Within another `jit`, `grad` or `vmap` jax takes none. Options are chosen at the first call, so
    that decorating a function of a module starts no backend.

    Args:
        function: a pure function of pytrees.
        runs_once: whether compiling takes longer than running, as where a network is initialized:
            XLA's CPU compiler then optimizes less.
        **options: of `jax.jit`, such as `static_argnames`.
    """

    # Two forms: jax refuses compiler options while it traces another function.
    @functools.cache
    def compiled(top_level: bool) -> Callable[Parameters, Result]:
        import jax

        chosen: dict[str, Any] | None = dict(compiler_options()) if top_level else None
        # jax's own setting is for less still, and an option would overrule it.
        asked_for_less = jax.config.read("jax_disable_most_optimizations")
        if chosen is not None and runs_once and not asked_for_less:
            chosen |= {LEVEL: 1} if jax.default_backend() == "cpu" else {}
        return jax.jit(function, compiler_options=chosen, **options)

    @functools.wraps(function)
    def call(*arguments: Parameters.args, **keywords: Parameters.kwargs) -> Result:
        return compiled(is_top_level())(*arguments, **keywords)

    return call


def is_top_level() -> bool:
    """Returns whether jax is not tracing: only then it takes compiler options."""
    # jax has no public function that reports it.
    from jax._src import core

    return core.trace_state_clean()


def _users_value() -> str | None:
    """Returns what XLA_FLAGS, or the file that it names, gives the option; None if nothing."""
    flags = os.environ.get("XLA_FLAGS", "").strip()
    if _names_a_file():
        flags = Path(flags).read_text() if Path(flags).is_file() else ""
    values = [flag.removeprefix(FLAG) for flag in flags.split() if flag.startswith(FLAG)]
    return values[-1].strip("'\"") if values else None


def _names_a_file() -> bool:
    # XLA takes the variable for a file's name if it doesn't start with a dash.
    flags = os.environ.get("XLA_FLAGS", "").strip()
    return bool(flags) and not flags.startswith("-")


def _obstacle() -> str | None:
    """Returns why the flag can't be set and what to do; None if it can."""
    version = _version("jaxlib")
    if version not in TRIED_JAXLIB:
        return (
            f"jaxlib {version or 'of unknown version'} was not tried, and one that does not know "
            f"{FLAG} would stop the process at it. Install one of {', '.join(TRIED_JAXLIB)}, or "
            f"set XLA_FLAGS={FLAG} before Python starts."
        )
    for reader, tried in TRIED_READERS.items():
        version = _version(reader)
        if version is not None and version not in tried:
            return (
                f"{reader} {version} reads XLA_FLAGS too, and one that does not know {FLAG} would "
                f"stop the process at it. Install {' or '.join(tried) or 'cnnjax without it'}, or, "
                f"where {reader} compiles nothing with XLA, set XLA_FLAGS={FLAG} before Python "
                "starts."
            )
    if _names_a_file():
        return f"XLA_FLAGS names a file; add the line {FLAG} to that file."
    bridge = sys.modules.get("jax._src.xla_bridge")
    if bridge and bridge.backends_are_initialized() and bridge.default_backend() == "cpu":
        return (
            "jax had started its CPU backend before cnnjax was imported, too late for XLA_FLAGS. "
            f"Import cnnjax before the first computation, or set XLA_FLAGS={FLAG} before Python "
            "starts."
        )
    return None


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


@functools.cache
def _knows_option() -> bool:
    if _version("jaxlib") in TRIED_JAXLIB:
        return True
    import jax

    # An unknown flag ends the process, an unknown option only raises: so this can be tried.
    try:
        jax.jit(lambda: 0, compiler_options={OPTION: ""}).lower().compile()
    except (jax.errors.JaxRuntimeError, ValueError):
        return False
    return True
