"""A network's auxiliary heads, whose losses take part in training."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.linen as linen
from jaxtyping import Array, Float, Key

from cnnjax import models


class Heads(NamedTuple):
    """The logits of a network, and those of its auxiliary heads.

    Attributes:
        logits: those of the network's output.
        auxiliary: those of each auxiliary head; empty where the heads have no part in the loss.
    """

    logits: Float[Array, "batch classes"]
    auxiliary: tuple[Float[Array, "batch classes"], ...]


def apply_with_heads(
    model: linen.Module,
    variables: Mapping[str, Any],
    images: Float[Array, "batch height width channels"],
    key: Key[Array, ""],
) -> tuple[Heads, dict[str, Any]]:
    """Runs a network in training mode, with its auxiliary heads.

    Args:
        model: the network, whose auxiliary heads are its features "aux1", "aux2".
        variables: its parameters and other collections.
        images: the network's inputs.
        key: randomness of dropout.

    Returns:
        All logits, with no auxiliary ones where `variables` has no such heads. And the collections
        that the network updated.
    """
    (logits, features), updated = models.apply_with_features(
        model,
        variables,
        images,
        train=True,
        rngs={"dropout": key},
        mutable=[name for name in variables if name != "params"],
    )
    # Features are in the network's order, the heads from first to last.
    heads = tuple(value for name, value in features.items() if name.startswith("aux"))
    return Heads(logits, heads), dict(updated)


def evaluation_heads(
    model: linen.Module,
    variables: Mapping[str, Any],
    images: Float[Array, "batch height width channels"],
) -> dict[str, Float[Array, "batch classes"]]:
    """Returns the logits of a network and of its auxiliary heads, in evaluation mode.

    Args:
        model: the network, whose auxiliary heads are its features "aux1", "aux2".
        variables: its parameters and other collections.
        images: the network's inputs.

    Returns:
        "output" first, then the heads by name; none where `variables` has no such heads.
    """
    logits, features = models.apply_with_features(model, variables, images)
    heads = {name: value for name, value in features.items() if name.startswith("aux")}
    return {"output": logits, **heads}
