"""Other values of a bound module's fields, for one call of it."""

import contextlib
from collections.abc import Iterator
from typing import Any

import flax.linen as linen


@contextlib.contextmanager
def bound_fields(module: linen.Module, **values: Any) -> Iterator[None]:
    """Within the block, a bound module has these fields; it has its own again afterwards.

    For interceptors: Linen refuses assignments to a bound module, and a clone of it would not be
    the module that is being called.
    """
    before = {name: getattr(module, name) for name in values}
    for name, value in values.items():
        object.__setattr__(module, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            object.__setattr__(module, name, value)
