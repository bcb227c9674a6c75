"""Image classification: softmax cross-entropy, top-1 and top-5, and pictures of the mistakes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from jaxtyping import Array, Float, Key, UInt8

Batch = Mapping[str, Array]
Sums = dict[str, Float[Array, ""]]


@dataclass(frozen=True)
class Classification:
    """Single-label classification.

    A batch is a mapping with `image`, float [batch, height, width, channels], `label`, int [batch],
    and `weight`, float [batch]: 1 for an example that counts, 0 for one that fills up the batch.

    Attributes:
        class_names: a name for each label.
        label_smoothing: probability mass spread evenly over all classes (Szegedy et al. 2015,
            section 7), in training alone.
    """

    class_names: tuple[str, ...]
    label_smoothing: float = 0.0

    def loss(
        self,
        model: nn.Module,
        variables: Mapping[str, Any],
        batch: Batch,
        key: Key[Array, ""],
        train: bool,
    ) -> tuple[Float[Array, ""], tuple[Sums, dict[str, Any]]]:
        """Runs the network and returns what training minimises.

        Args:
            model: a network whose `apply(variables, image, train=...)` gives logits.
            variables: its parameters and other collections.
            batch: the examples, see the class.
            key: randomness of dropout.
            train: whether batch statistics are updated, and dropout and label smoothing act.

        Returns:
            The mean cross-entropy over the examples that count, in nats, and a pair: the metric
            sums, and the collections that the network updated (none unless `train`).
        """
        logits: Any
        if train:
            logits, updated = model.apply(
                variables,
                batch["image"],
                train=True,
                rngs={"dropout": key},
                mutable=[name for name in variables if name != "params"],
            )
        else:
            logits, updated = model.apply(variables, batch["image"], train=False), {}
        losses = self._cross_entropy(logits, batch["label"], train)
        sums = metric_sums(logits, losses, batch)
        mean = sums["loss"] / jnp.maximum(sums["weight"], 1)
        return mean, (sums, dict(updated))

    def _cross_entropy(
        self, logits: Float[Array, "batch classes"], labels: Array, train: bool
    ) -> Float[Array, " batch"]:
        # Half-precision logits would lose what the loss has to say about confident examples.
        logits = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
        targets = jax.nn.one_hot(labels, logits.shape[-1], dtype=logits.dtype)
        if train and self.label_smoothing:
            targets = optax.smooth_labels(targets, self.label_smoothing)
        return optax.softmax_cross_entropy(logits, targets)

    def metrics(self, sums: Mapping[str, Any]) -> dict[str, float]:
        """Turns added-up sums into `loss` (nats), `accuracy` and `top5_error` (shares of 1)."""
        weight = float(sums["weight"])
        return {
            "loss": float(sums["loss"]) / weight,
            "accuracy": float(sums["top1"]) / weight,
            "top5_error": 1 - float(sums["top5"]) / weight,
        }

    def pictures(
        self,
        images: UInt8[np.ndarray, "examples height width channels"],
        labels: np.ndarray,
        probabilities: Float[np.ndarray, "examples classes"],
        count: int = 16,
    ) -> UInt8[np.ndarray, "mistakes height width channels"]:
        """Returns the mistaken images, the one that the network is surest about first."""
        said = probabilities.argmax(axis=1)
        wrong = np.flatnonzero(said != labels)
        surest = wrong[np.argsort(-probabilities[wrong, said[wrong]], kind="stable")]
        return images[surest[:count]]


def metric_sums(
    logits: Float[Array, "batch classes"], losses: Float[Array, " batch"], batch: Batch
) -> Sums:
    """Returns weighted sums over a batch: of weights, losses, and labels within the top 1 and 5.

    Sums, unlike means, add up over batches of any size to what the whole split gives. An example
    whose logits are not all finite is counted as wrong; on equal logits the lower class goes first.
    """
    weight = batch["weight"].astype(losses.dtype)
    _, top = jax.lax.top_k(logits, min(5, logits.shape[-1]))
    hits = top == batch["label"][:, None]
    finite = jnp.isfinite(logits).all(axis=-1)
    return {
        "weight": weight.sum(),
        # A plain product would let one infinite loss of weight 0 make the sum NaN.
        "loss": jnp.where(weight > 0, weight * losses, 0).sum(),
        "top1": jnp.where(hits[:, 0] & finite, weight, 0).sum(),
        "top5": jnp.where(hits.any(axis=-1) & finite, weight, 0).sum(),
    }
