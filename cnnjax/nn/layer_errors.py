"""Errors that say in which layer of a network they arose."""

import contextlib
from collections.abc import Iterator

import flax.linen as linen


@contextlib.contextmanager
def naming_layer(module: linen.Module) -> Iterator[None]:
    """Within the block, a ValueError gets the layer's class and path put before its message.

    Args:
        module: the bound layer that is being called.

    Raises:
        ValueError: the error that arose, with the name of the layer in front.
    """
    try:
        yield
    except ValueError as error:
        name = "/".join(module.path) or module.name or ""
        raise ValueError(f"{type(module).__name__} {name}: {error}") from error
