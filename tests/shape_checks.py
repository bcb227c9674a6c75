"""The type checker that jaxtyping's import hook puts around the package's functions of arrays.

Only annotations of arrays are verified: the rest is pyright's. A call is verified once the function
has returned, so that wrong arguments meet the function's own error first; one that takes what its
signature excludes fails here.
"""

import inspect
from collections.abc import Callable
from typing import Any, get_args

import jaxtyping
from beartype import BeartypeConf, beartype

_check = beartype(conf=BeartypeConf(is_pep484_tower=True))
_jaxtyped: Any = jaxtyping.jaxtyped
_of_arrays: dict[Any, bool] = {}


def install() -> None:
    """Verifies the functions of the modules that are imported from now on."""
    # The hook decorates every function, inner ones each time they are made, and takes a millisecond
    # for each. Most have no annotation of an array.
    setattr(jaxtyping, "jaxtyped", _jaxtyped_if_of_arrays)  # noqa: B010
    jaxtyping.install_import_hook(["cnnjax", "experiments"], f"{__name__}.check_shapes")


def check_shapes(function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns the function with its arrays' dtypes and shapes verified; itself where it has none.

    jaxtyping hands over two forms of each function: one with its parameters alone, called before
    the function and left alone here, and one with the returned value too.
    """
    annotations = dict(function.__annotations__)
    arrays = {name: hint for name, hint in annotations.items() if _names_an_array(hint)}
    if annotations.get("return") is Any or not arrays:
        return function
    function.__annotations__ = arrays
    return _check(function)


def _jaxtyped_if_of_arrays(decorated: Any = None, **options: Any) -> Any:
    if decorated is None:
        return lambda decorated: _jaxtyped_if_of_arrays(decorated, **options)
    if isinstance(decorated, property):
        function = decorated.fget
    elif inspect.isclass(decorated):
        function = decorated.__init__
    else:
        function = getattr(decorated, "__func__", decorated)
    return _jaxtyped(decorated, **options) if _is_of_arrays(function) else decorated


def _is_of_arrays(function: Any) -> bool:
    """Returns whether a function has an annotation of an array."""
    # An inner function is another one at each call, of the same code.
    made_of = (getattr(function, "__module__", ""), getattr(function, "__code__", function))
    if made_of not in _of_arrays:
        hints = getattr(function, "__annotations__", {}).values()
        names = getattr(function, "__globals__", {})
        _of_arrays[made_of] = any(_names_an_array(_evaluated(hint, names)) for hint in hints)
    return _of_arrays[made_of]


def _evaluated(hint: Any, names: dict[str, Any]) -> Any:
    """Returns a hint that may be written as text; what cannot be evaluated is no array."""
    try:
        return eval(hint, names) if isinstance(hint, str) else hint
    # As jaxtyping does: names that only type checkers import, and any other error.
    except Exception:
        return Any


def _names_an_array(hint: Any) -> bool:
    if isinstance(hint, type) and issubclass(hint, jaxtyping.AbstractArray):
        return True
    return any(map(_names_an_array, get_args(hint)))
