"""Errors that name the layer of a network in which they arose."""

import contextlib
from collections.abc import Iterator

import flax.linen as linen


@contextlib.contextmanager
def naming_layer(module: linen.Module) -> Iterator[None]:
    """Puts the layer's class and path before the message of a ValueError within the block.

    Args:
        module: the bound layer that runs.

    Raises:
        ValueError: the error that arose, with the name of the layer in front.
    """
    try:
        yield
    except ValueError as error:
        name = "/".join(module.path) or module.name or ""
        raise ValueError(f"{type(module).__name__} {name}: {error}") from error
