"""Grouped convolutions of any Linen module, for a batch that is split along an axis of a mesh."""

import contextlib
from collections.abc import Iterator
from typing import Any

import flax.linen as linen
from jax.sharding import Mesh

from cnnjax import ops
from cnnjax.nn.bound_fields import bound_fields


@contextlib.contextmanager
def batch_over(mesh: Mesh, axis: str) -> Iterator[None]:
    """Applies `ops.batch_over` to `flax.linen.Conv` in foreign modules as well.

    Args:
        mesh: the devices.
        axis: the axis of the mesh along which batches are split.

    Raises:
        ValueError: the mesh has no such axis.
    """
    with ops.batch_over(mesh, axis), linen.intercept_methods(_intercept):
        yield


def _intercept(proceed: Any, args: Any, kwargs: Any, context: Any) -> Any:
    """Calls a grouped flax convolution with the product that knows the mesh."""
    module = context.module
    # Only grouped convolutions need the mesh, and a product that the module chose itself stays.
    if (
        context.method_name == "__call__"
        and isinstance(module, linen.Conv)
        and module.feature_group_count > 1
        and module.conv_general_dilated is None
        and module.conv_general_dilated_cls is None
    ):
        with bound_fields(module, conv_general_dilated=ops.lax_conv_general_dilated):
            return proceed(*args, **kwargs)
    return proceed(*args, **kwargs)
