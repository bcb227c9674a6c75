"""Other values of a bound module's fields, for one call of it."""

import contextlib
from collections.abc import Iterator
from typing import Any

import flax.linen as linen


@contextlib.contextmanager
def bound_fields(module: linen.Module, **values: Any) -> Iterator[None]:
    """Sets fields of a bound module within the block, and restores them afterwards.

    For interceptors: Linen refuses assignments to a bound module, and a clone of it would not be
    the module that is being called.

    Args:
        module: the bound module.
        **values: the fields and their values within the block.
    """
    before = {name: getattr(module, name) for name in values}
    for name, value in values.items():
        # Past Linen's own `__setattr__`, which refuses it.
        object.__setattr__(module, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            object.__setattr__(module, name, value)
