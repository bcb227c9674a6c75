"""The libraries whose weights are known, and the places of a network's arrays in each."""

from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp

from cnnjax.models.net import Net
from cnnjax.models.weights import timm, torchvision, torchvision_dense
from cnnjax.models.weights.layouts import VECTOR
from cnnjax.models.weights.tables import Slot, Table, leaves
from cnnjax.nn.calling import init_network
from cnnjax.nn.changed_layers import layer_changes

TABLES: dict[str, tuple[Table, ...]] = {
    "torchvision": (*torchvision.TABLES, *torchvision_dense.TABLES),
    "timm": timm.TABLES,
}

# Our own files, where paths are names.
OURS = "cnnjax"


def find_table(model: Net, source: str) -> Table:
    """Returns the table of a network in another library.

    Args:
        model: the network.
        source: "torchvision" or "timm".

    Raises:
        ValueError: the library is not known, has no such network, or has one that computes
            something else.
    """
    if source not in TABLES:
        raise ValueError(f"source must be one of {(*TABLES, OURS)}, got {source!r}")
    for table in TABLES[source]:
        if isinstance(model, table.net):
            break
    else:
        known = ", ".join(table.net.__name__ for table in TABLES[source])
        raise ValueError(f"{source} has no {type(model).__name__}; there are {known}")
    if changed := layer_changes(model):
        raise ValueError(
            f"{source}'s {table.net.__name__} has none of the changed layers "
            f"{', '.join(changed)}; write them with save_pretrained, for source='cnnjax'"
        )
    if different := table.different(model):
        texts = {name: f"{name}={value!r}" for name, value in different.items()}
        # The name of a long table is clearer than its values.
        values = ", ".join(t if len(t) < 50 else f"its own {name}" for name, t in texts.items())
        raise ValueError(
            f"{source}'s {table.net.__name__} computes something else than one with {values}; a "
            f"network that takes its weights is, for example, {table.remedy}"
        )
    return table


def own_slots(variables: Any) -> list[Slot]:
    """Returns the slots of our own files, in which paths are names.

    Args:
        variables: arrays or shapes, by collection.
    """
    return [
        Slot(path, None, "/".join(path), VECTOR, leaf.shape)
        for path, leaf in leaves(variables).items()
    ]


def shapes_at(model: linen.Module, size: tuple[int, int, int]) -> dict[str, Any]:
    """Returns the shapes of a network's variables.

    Args:
        model: the network.
        size: height, width and channels of the images.
    """
    images = jax.ShapeDtypeStruct((1, *size), jnp.float32)
    return jax.eval_shape(
        lambda key, images: init_network(model, key, images), jax.random.key(0), images
    )
