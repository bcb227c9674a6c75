"""A network's auxiliary heads, whose losses take part in training."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.linen as linen
from jaxtyping import Array, Float, Key

from cnnjax import models
from cnnjax.tasks.losses import LossName, OwnLoss, class_losses
from cnnjax.tasks.sums import Batch, weighted_sums


class Heads(NamedTuple):
    """The logits of a network, and those of its auxiliary heads.

    Attributes:
        logits: those of the network's output.
        auxiliary: those of each auxiliary head; empty where the heads have no part in the loss.
    """

    logits: Float[Array, "batch *pixels classes"]
    auxiliary: tuple[Float[Array, "batch *pixels classes"], ...]


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


def apply_in_training(
    model: linen.Module,
    variables: Mapping[str, Any],
    images: Float[Array, "batch height width channels"],
    key: Key[Array, ""],
    auxiliary_weight: float,
) -> tuple[Heads, dict[str, Any]]:
    """Runs a network in training mode with its auxiliary heads, which it must have.

    Args:
        model: the network.
        variables: its parameters and other collections.
        images: the network's inputs.
        key: randomness of dropout.
        auxiliary_weight: the task's setting, for messages.

    Raises:
        ValueError: the network has no auxiliary heads.
    """
    heads, updated = apply_with_heads(model, variables, images, key)
    if not heads.auxiliary:
        raise ValueError(
            f"task.auxiliary_weight: {auxiliary_weight} was given, but {type(model).__name__} has "
            "no auxiliary heads; set it to 0"
        )
    return heads, updated


def head_loss_terms(
    model: linen.Module,
    variables: Mapping[str, Any],
    batch: Batch,
    weight: float,
    loss_function: LossName | OwnLoss,
) -> dict[str, Float[Array, ""]]:
    """Returns the mean losses of a network's output and of its auxiliary heads, in evaluation mode.

    Args:
        model: the network, whose auxiliary heads are its features "aux1", "aux2".
        variables: its parameters and other collections.
        batch: the examples.
        weight: of each head's loss.
        loss_function: see `class_losses`.

    Returns:
        "output" first, then the weighted losses of the heads by name; none where `variables` has no
        such heads.
    """
    logits, features = models.apply_with_features(model, variables, batch["image"])
    heads = {name: value for name, value in features.items() if name.startswith("aux")}
    terms = {}
    for name, values in {"output": logits, **heads}.items():
        losses = class_losses(values, loss_function, batch["label"], batch.get("target"))
        sums = weighted_sums({"loss": losses}, batch)
        mean = sums["loss"] / sums["weight"].astype(sums["loss"].dtype)
        terms[name] = mean if name == "output" else weight * mean
    return terms
