"""Errors that name the layer of a network in which they arose."""

import contextlib
from collections.abc import Iterator

import flax.linen as linen


@contextlib.contextmanager
def naming_layer(module: linen.Module) -> Iterator[None]:
    """Puts the layer's class and path before the message of an error within the block.

    These are ValueErrors and TypeErrors. JAX's own kinds of TypeErrors, about traced values, stay
    as they are.

    Args:
        module: the bound layer that runs.

    Raises:
        ValueError: the error that arose, with the name of the layer in front.
        TypeError: likewise.
    """
    try:
        yield
    except (TypeError, ValueError) as error:
        kind = ValueError if isinstance(error, ValueError) else TypeError
        if kind is TypeError and type(error) is not TypeError:
            raise
        name = "/".join(module.path) or module.name or ""
        raise kind(f"{type(module).__name__} {name}: {error}") from error
