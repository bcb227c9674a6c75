"""The type checker that jaxtyping's pytest hook puts around every function of the package.

Only annotations of arrays are verified: the rest is pyright's. A call is verified once the function
has returned, so that wrong arguments meet the function's own error first; one that takes what its
signature excludes fails here.
"""

from collections.abc import Callable
from typing import Any, get_args

import jaxtyping
from beartype import BeartypeConf, beartype

_check = beartype(conf=BeartypeConf(is_pep484_tower=True))


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


def _names_an_array(hint: Any) -> bool:
    if isinstance(hint, type) and issubclass(hint, jaxtyping.AbstractArray):
        return True
    return any(map(_names_an_array, get_args(hint)))
