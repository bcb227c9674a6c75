"""Programs whose convolutions XLA's CPU compiler hands to oneDNN.

An option of XLA, which jaxlib 0.12 has and earlier versions ignore, turns convolutions and large
products into calls of oneDNN, which also takes the bias, the rectifier and the sum that follow.
Such a call is faster than XLA's own in the forward pass, also for grouped and depthwise layers,
which XLA computes by a naive loop. The gradient by the kernel is slower: XLA's rewriter has no form
for it but a forward convolution whose window is as large as the image. So only programs without
gradients are compiled in this way (docs/speed.md).
"""

from __future__ import annotations

import contextlib
import functools
import os
import platform
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import jax
import jax.numpy as jnp

from cnnjax import compiler

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

OPTION = "xla_cpu_experimental_onednn_custom_call"

# A user context: it is part of the key of jit's caches, so that a function that was traced within
# is traced again without.
_current = jax.make_user_context(False)


def in_use() -> bool:
    """Returns whether the program that is being traced is compiled with oneDNN."""
    return _current.value


def serves(dtype: Any) -> bool:
    """Returns whether oneDNN computes convolutions of a dtype: of float32 and the half types.

    Args:
        dtype: of images and kernel.
    """
    return jnp.dtype(dtype) in (jnp.float32, jnp.bfloat16, jnp.float16)


@functools.cache
def is_there() -> bool:
    """Returns whether XLA's CPU compiler hands convolutions to oneDNN when it is asked to.

    A user's own value of the option in XLA_FLAGS is left to hold. The answer is found by compiling
    a small convolution, once.
    """
    if OPTION in os.environ.get("XLA_FLAGS", "") or jax.default_backend() != "cpu":
        return False
    if platform.machine() not in ("x86_64", "AMD64"):
        return False
    x = jax.ShapeDtypeStruct((1, 8, 8, 8), jnp.float32)
    kernel = jax.ShapeDtypeStruct((3, 3, 8, 8), jnp.float32)
    convolve = functools.partial(
        jax.lax.conv_general_dilated,
        window_strides=(1, 1),
        padding="SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    try:
        with _stored_nowhere():
            program = jax.jit(convolve, compiler_options={OPTION: True}).lower(x, kernel).compile()
    except (jax.errors.JaxRuntimeError, ValueError):
        return False
    return "__onednn$convolution" in (program.as_text() or "")


def _stored_nowhere() -> contextlib.AbstractContextManager[Any]:
    """Returns a context in which jax stores no compiled program in a folder.

    It would try in vain and warn: XLA runs out of memory when it writes a call of oneDNN.
    """
    # jax has no public context for it.
    from jax._src import config

    return config.persistent_cache_min_compile_time_secs(float("inf"))


def jit_forward(
    function: Callable[Parameters, Result], **options: Any
) -> Callable[Parameters, Result]:
    """Returns `jax.jit(function, **options)`, compiled for a program without gradients.

    On CPU its convolutions are calls of oneDNN where this XLA has them. Everywhere else, and within
    another `jit`, `grad` or `vmap`, it is what `compiler.jit` returns. Gradients inside the
    function are right, but may be slower than otherwise. XLA cannot store a program with such
    calls: it is compiled at each start, also where jax keeps compiled programs in a folder.

    Args:
        function: a pure function of pytrees.
        **options: of `jax.jit`, such as `static_argnames`.

    Raises:
        TypeError: `function` cannot be called.

    Example:
        >>> import jax.numpy as jnp
        >>> from cnnjax import ops
        >>> blur = ops.jit_forward(lambda x: ops.conv2d(x, jnp.full((3, 3, 1, 1), 1 / 9)))
        >>> blur(jnp.ones((1, 3, 3, 1)))[0, 1, 1]
        Array([1.], dtype=float32)
    """
    if not callable(function):
        raise TypeError(
            f"jit_forward: function must be a function of arrays, got {function!r}; give the "
            "function itself, not its result"
        )
    plain = compiler.jit(function, **options)

    @functools.wraps(function)
    def traced(*arguments: Parameters.args, **keywords: Parameters.kwargs) -> Result:
        with _current(True):
            return function(*arguments, **keywords)

    @functools.cache
    def compiled() -> Callable[Parameters, Result]:
        chosen = {**compiler.compiler_options(), OPTION: True}
        return jax.jit(traced, compiler_options=chosen, **options)

    @functools.wraps(function)
    def call(*arguments: Parameters.args, **keywords: Parameters.kwargs) -> Result:
        if not compiler.is_top_level() or not is_there():
            return plain(*arguments, **keywords)
        with _stored_nowhere():
            return compiled()(*arguments, **keywords)

    return call
