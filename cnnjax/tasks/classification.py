"""Image classification: its loss, top-1 and top-5, and pictures of the mistakes."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Array, Float, Key, UInt8

from cnnjax import models
from cnnjax.tasks import losses
from cnnjax.tasks.classification_report import CURVES, classification_report
from cnnjax.tasks.sections import Evaluated, MetricChart, TaskReport

Batch = Mapping[str, Array]
Sums = dict[str, Float[Array, ""]]


@dataclass(frozen=True)
class Classification:
    """Single-label classification.

    A batch is a mapping with `image`, float [batch, height, width, channels], `label`, int [batch],
    and `weight`, float [batch]: 1 for an example that counts, 0 for one that fills up the batch.
    A batch of mixed images has `target` too, float [batch, classes]: how much of each label is in
    an image. The loss is taken against it; errors are counted against `label`.

    Attributes:
        class_names: a name for each label.
        loss_name: "softmax", "hinge", "sigmoid" or "squared"; see `losses`.
        label_smoothing: probability mass spread evenly over all classes (Szegedy et al. 2015,
            section 7), in training alone; of "softmax" only.
        auxiliary_weight: weight, in training, of the loss of each auxiliary head, whose logits are
            the network's features "aux1", "aux2"; 0 leaves the heads out.

    Raises:
        ValueError: the loss is unknown, or does not take label smoothing.
    """

    class_names: tuple[str, ...]
    loss_name: Literal["softmax", "hinge", "sigmoid", "squared"] = "softmax"
    label_smoothing: float = 0.0
    auxiliary_weight: float = 0.0

    def __post_init__(self) -> None:
        """Refuses what does not fit together."""
        if self.loss_name not in ("softmax", "hinge", "sigmoid", "squared"):
            raise ValueError(
                f"loss.name: {self.loss_name!r} is unknown; known: softmax, hinge, sigmoid, squared"
            )
        if self.label_smoothing and self.loss_name != "softmax":
            raise ValueError(
                f"loss.label_smoothing: {self.label_smoothing} was given with the loss "
                f"{self.loss_name}; it belongs to softmax: set it to 0, or loss.name to 'softmax'"
            )

    @property
    def loss_unit(self) -> str:
        """What the loss is measured in: "nats", or "" where it is a plain number."""
        return "nats" if self.loss_name in ("softmax", "sigmoid") else ""

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
            The mean loss over the examples that count (in `loss_unit`), and a
            pair: the metric sums, of which `loss` is that mean's numerator, and the collections
            that the network updated (none unless `train`).

        Raises:
            ValueError: auxiliary heads have a weight, but the network or its variables have none.
        """
        logits, features, updated = self._apply(model, variables, batch["image"], key, train)
        values = self._losses(logits, batch, train)
        for head in features:
            values = values + self.auxiliary_weight * self._losses(head, batch, train)
        sums = metric_sums(logits, values, batch)
        mean = sums["loss"] / jnp.maximum(sums["weight"], 1)
        return mean, (sums, updated)

    def _apply(
        self,
        model: Any,
        variables: Mapping[str, Any],
        images: Array,
        key: Key[Array, ""],
        train: bool,
    ) -> tuple[Array, list[Array], dict[str, Any]]:
        """Returns the logits, those of the auxiliary heads, and the updated collections."""
        if not train:
            return model.apply(variables, images, train=False), [], {}
        options: dict[str, Any] = {
            "train": True,
            "rngs": {"dropout": key},
            "mutable": [name for name in variables if name != "params"],
        }
        if not self.auxiliary_weight:
            logits, updated = model.apply(variables, images, **options)
            return logits, [], dict(updated)
        (logits, features), updated = models.apply_with_features(
            model, variables, images, **options
        )
        heads = [value for name, value in features.items() if name.startswith("aux")]
        if not heads:
            raise ValueError(
                f"loss.auxiliary_weight: {self.auxiliary_weight} was given, but "
                f"{type(model).__name__} has no auxiliary heads; set it to 0"
            )
        return logits, heads, dict(updated)

    def _losses(
        self, logits: Float[Array, "batch classes"], batch: Batch, train: bool
    ) -> Float[Array, " batch"]:
        targets = batch.get("target")
        if self.loss_name == "hinge":
            if targets is None:
                return losses.multiclass_hinge(logits, batch["label"])
            return losses.expected_over_labels(losses.multiclass_hinge, logits, targets)
        if targets is None:
            targets = jax.nn.one_hot(batch["label"], logits.shape[-1])
        smoothing = self.label_smoothing if train else 0.0
        loss = {
            "softmax": partial(losses.softmax_cross_entropy, smoothing=smoothing),
            "sigmoid": losses.sigmoid_cross_entropy,
            "squared": losses.squared_error,
        }[self.loss_name]
        return loss(logits, targets)

    def metrics(self, sums: Mapping[str, Any]) -> dict[str, float]:
        """Turns added-up sums into `loss` (its mean), `accuracy` and `top5_error` (shares of 1)."""
        weight = float(sums["weight"])
        return {
            "loss": float(sums["loss"]) / weight,
            "accuracy": float(sums["top1"]) / weight,
            "top5_error": 1 - float(sums["top5"]) / weight,
        }

    @property
    def curves(self) -> tuple[MetricChart, ...]:
        """How a report draws the logged metrics."""
        return CURVES

    def report_sections(self, evaluated: Evaluated) -> TaskReport:
        """Returns what a report shows of the predictions, see `classification_report`."""
        return classification_report(evaluated, self.class_names)

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
