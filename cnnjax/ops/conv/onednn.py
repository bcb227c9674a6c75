"""Programs whose convolutions XLA's CPU compiler hands to oneDNN.

An option of XLA, which jaxlib 0.12 has and earlier versions ignore, turns convolutions and large
products into calls of oneDNN, which also takes the bias, the rectifier and the sum that follow.
Such a call is faster than XLA's own, also for grouped and depthwise layers, which XLA computes by a
naive loop. oneDNN has a form of its own for dL/dk, but XLA does not call it: it hands over the
forward convolution that JAX writes, whose window is as large as the image, and which is slow. So
dL/dk is written in another way (`algorithms/merged.py`), and programs with JAX's own are compiled
without the option (docs/speed.md).

A call for one input channel and one output column is wrong where the columns have a stride
(docs/compiler.md). `algorithms/direct.py` writes such convolutions without it, and programs with
one of another origin are compiled without the option.
"""

from __future__ import annotations

import contextlib
import functools
import os
import platform
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

import jax
import jax.numpy as jnp
from jax import lax
from jax.core import ShapedArray
from jax.extend.core import Jaxpr, JaxprEqn, jaxpr_as_fun, jaxprs_in_params
from jax.extend.core.primitives import conv_general_dilated_p

from cnnjax import compiler
from cnnjax.ops.platforms import for_cpu_alone

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
        lax.conv_general_dilated,
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


def jit(function: Callable[Parameters, Result], **options: Any) -> Callable[Parameters, Result]:
    """Returns `jax.jit(function, **options)`, compiled as is fastest for this package's layers.

    On CPU their convolutions are calls of oneDNN where this XLA has them. Everywhere else, and
    within another `jit`, `grad` or `vmap`, it is what `compiler.jit` returns. JAX's own gradients
    of convolutions by their kernels are right, but may be slower than otherwise. XLA cannot store a
    program with such calls: it is compiled at each start, also where jax keeps compiled programs in
    a folder.

    Args:
        function: a pure function of pytrees.
        **options: of `jax.jit`, such as `static_argnames`.

    Raises:
        TypeError: `function` cannot be called.

    Example:
        >>> import jax.numpy as jnp
        >>> from cnnjax import ops
        >>> blur = ops.jit(lambda x: ops.conv2d(x, jnp.full((3, 3, 1, 1), 1 / 9)))
        >>> blur(jnp.ones((1, 3, 3, 1)))[0, 1, 1]
        Array([1.], dtype=float32)
    """
    if not callable(function):
        raise TypeError(
            f"jit: function must be a function of arrays, got {function!r}; give the function "
            "itself, not its result"
        )
    plain = compiler.jit(function, **options)
    calling = functools.cache(lambda: _calling(_checked(function), options))
    refused = False

    @functools.wraps(function)
    def call(*arguments: Parameters.args, **keywords: Parameters.kwargs) -> Result:
        nonlocal refused
        if refused or not compiler.is_top_level() or not is_there():
            return plain(*arguments, **keywords)
        try:
            with _stored_nowhere():
                return calling()(*arguments, **keywords)
        except _WrongCall:
            refused = True
            return plain(*arguments, **keywords)

    return call


def compiled(
    function: Callable[..., Any], *arguments: Any, often: bool = True, **options: Any
) -> jax.stages.Compiled:
    """Returns a function compiled for arguments: with calls of oneDNN where that is faster.

    It is not where a convolution's gradient by its kernel is JAX's own, nor where a call would be
    wrong.

    Args:
        function: a pure function of pytrees.
        *arguments: arrays, or their shapes.
        often: whether it runs often enough to be worth a program that cannot be stored.
        **options: of `jax.jit`.
    """
    if often and is_there():
        traced = _calling(function, options).trace(*arguments)
        if not _has(traced.jaxpr.jaxpr, _is_slow_kernel_grad, _goes_wrong):
            with _stored_nowhere():
                return traced.lower().compile()
    chosen = {"compiler_options": compiler.compiler_options(), **options}
    return jax.jit(function, **chosen).lower(*arguments).compile()


def _calling(function: Callable[..., Any], options: dict[str, Any]) -> Any:
    """Returns the jitted function that is traced and compiled for calls of oneDNN."""

    @functools.wraps(function)
    def traced(*arguments: Any, **keywords: Any) -> Any:
        with _current(True), for_cpu_alone(True):
            return function(*arguments, **keywords)

    chosen = {**compiler.compiler_options(), OPTION: True}
    return jax.jit(traced, compiler_options=chosen, **options)


class _WrongCall(Exception):
    """A program has a convolution whose call of oneDNN would be wrong."""


def _checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a function to trace, which raises `_WrongCall` in place of a wrong program."""

    @functools.wraps(function)
    def traced(*arguments: Any, **keywords: Any) -> Any:
        leaves, tree = jax.tree.flatten((arguments, keywords))
        arrays = [leaf for leaf in leaves if isinstance(leaf, jax.Array)]

        def of_arrays(*arrays: jax.Array) -> Any:
            given = iter(arrays)
            # What is static is no array.
            whole = [next(given) if isinstance(leaf, jax.Array) else leaf for leaf in leaves]
            inner_arguments, inner_keywords = jax.tree.unflatten(tree, whole)
            return function(*inner_arguments, **inner_keywords)

        program, shapes = jax.make_jaxpr(of_arrays, return_shape=True)(*arrays)
        if _has(program.jaxpr, _goes_wrong):
            raise _WrongCall
        return jax.tree.unflatten(jax.tree.structure(shapes), jaxpr_as_fun(program)(*arrays))

    return traced


def _has(program: Jaxpr, *found: Callable[[JaxprEqn], bool]) -> bool:
    """Returns whether a program has a convolution of which one of some functions is true."""
    for equation in program.eqns:
        if equation.primitive is conv_general_dilated_p and any(each(equation) for each in found):
            return True
        if any(_has(inner, *found) for inner in jaxprs_in_params(equation.params)):
            return True
    return False


def _is_slow_kernel_grad(convolution: JaxprEqn) -> bool:
    """Returns whether a convolution is a gradient by a kernel as JAX writes it.

    Its batch are the images' channels, so that it is not the first axis. Ours in that form has a
    negative padding, and XLA does not hand it over.
    """
    given = convolution.params
    handed_over = given["batch_group_count"] == 1 and all(
        side >= 0 for pads in given["padding"] for side in pads
    )
    return handed_over and given["dimension_numbers"].lhs_spec[0] != 0


def _goes_wrong(convolution: JaxprEqn) -> bool:
    """Returns whether a convolution's call is wrong: one channel, one output column, a stride."""
    numbers = convolution.params["dimension_numbers"]
    variables = convolution.invars[0], convolution.outvars[0]
    x, y = (cast(ShapedArray, variable.aval).shape for variable in variables)
    channels, sizes = x[numbers.lhs_spec[1]], [y[axis] for axis in numbers.out_spec[2:]]
    strides = convolution.params["window_strides"]
    return channels == 1 and any(n == 1 < s for n, s in zip(sizes, strides, strict=True))
