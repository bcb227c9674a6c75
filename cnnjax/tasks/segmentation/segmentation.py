"""Segmentation: its loss from sums over pixels and images, its metrics from one confusion."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import flax.linen as linen
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

from cnnjax import models
from cnnjax.data.examples import Spec
from cnnjax.data.preprocess import IGNORED
from cnnjax.tasks.base import Batch, Rows, Sums, Task
from cnnjax.tasks.heads import Heads, apply_in_training
from cnnjax.tasks.sections import Evaluated, MetricChart, TaskReport
from cnnjax.tasks.segmentation import checks, drawing
from cnnjax.tasks.segmentation.confusion import PixelFigures
from cnnjax.tasks.segmentation.loss_terms import check_settings, parse_loss
from cnnjax.tasks.segmentation.losses import Logits
from cnnjax.tasks.segmentation.pixel_loss import OwnPixelLoss, PixelLoss
from cnnjax.tasks.segmentation.report import (
    CURVES,
    evaluation_lines,
    mask_answer,
    segmentation_report,
)
from cnnjax.tasks.values import Answer, Moment, Score


@dataclass(frozen=True)
class Segmentation(Task):
    """A class for each pixel.

    A batch has `image`, float [batch, height, width, channels], `mask`, int [batch, height, width],
    and `weight`, float [batch]: 1 for an example that counts, 0 for one that fills up the batch.
    The network gives logits [batch, height, width, classes]. Pixels of the label 255, which padding
    adds, and of `ignore_label` count neither in the loss nor in the metrics.

    Attributes:
        class_names: a name for each label; the first is the ground, if there is one.
        pixel_loss: "cross_entropy", "focal", "dice", or a sum of them such as
            "cross_entropy + 0.5 * dice"; or a function of logits and masks that returns one loss
            per image. Cross-entropy and focal loss are means over all pixels of a batch, weighted
            by `class_weights`; Dice is a mean over images, each of a mean over the classes it has.
        class_weights: a weight for each class; empty for equal ones.
        ignore_label: a label that does not count.
        focal_gamma: exponent of the focal loss (Lin et al. 2017).
        auxiliary_weight: weight, in training, of the same loss of each auxiliary head, whose logits
            are the network's features "aux1", "aux2"; 0 leaves the heads out. 0.5 in torchvision.

    Raises:
        ValueError: a setting is unknown or out of range.

    Example:
        >>> from cnnjax import tasks
        >>> names = ("ground", "cat", "dog")
        >>> task = tasks.Segmentation(names, pixel_loss="cross_entropy + 0.5 * dice")
        >>> task.outputs({})
        3
    """

    class_names: tuple[str, ...] = field(repr=False)
    pixel_loss: str | OwnPixelLoss = "cross_entropy"
    class_weights: tuple[float, ...] = ()
    ignore_label: int = IGNORED
    focal_gamma: float = 2.0
    auxiliary_weight: float = 0.0

    score: ClassVar[Score] = Score("mean_iou", higher_is_better=True)
    curves: ClassVar[tuple[MetricChart, ...]] = CURVES
    part_kinds = ("image", "mask")
    named_by = "mask"

    def __post_init__(self) -> None:
        """Refuses an unknown loss, and settings that are out of range."""
        _ = self._loss
        check_settings(
            len(self.class_names),
            self.class_weights,
            self.ignore_label,
            self.focal_gamma,
            self.auxiliary_weight,
        )

    @cached_property
    def _loss(self) -> PixelLoss:
        own = self.pixel_loss if callable(self.pixel_loss) else None
        return PixelLoss(
            classes=len(self.class_names),
            terms=() if callable(self.pixel_loss) else parse_loss(self.pixel_loss),
            own=own,
            class_weights=tuple(self.class_weights),
            ignore_label=self.ignore_label,
            gamma=self.focal_gamma,
            auxiliary_weight=self.auxiliary_weight,
        )

    def outputs(self, spec: Spec) -> int:
        """Returns the number of classes.

        Args:
            spec: not used.
        """
        del spec
        return len(self.class_names)

    def check(self, spec: Spec, outputs: Any) -> None:
        """Refuses examples without image and mask, and outputs that are no logits of pixels.

        Args:
            spec: the parts of the first stream's examples.
            outputs: shape and dtype of what the network gives for a batch.
        """
        checks.check_examples(spec, outputs, len(self.class_names))

    def check_values(self, parts: Mapping[str, np.ndarray]) -> None:
        """Refuses masks with labels without a class; see `Task.check_values`.

        Args:
            parts: the parts of some examples, [examples, ...].
        """
        checks.check_masks(parts, len(self.class_names), self.ignore_label)

    def totals(self, batch: Batch) -> dict[str, Array]:
        """Returns the weights of examples and of pixels, added up; see `Task.totals`.

        Args:
            batch: the part of the batch.
        """
        return self._loss.totals(batch)

    def apply(
        self, model: linen.Module, variables: Mapping[str, Any], batch: Batch, moment: Moment
    ) -> tuple[Heads, dict[str, Any]]:
        """Runs the network, in training with its auxiliary heads where they have a weight.

        Args:
            model: the network.
            variables: its parameters and other collections.
            batch: the examples, or a part of them.
            moment: the step and its randomness.

        Returns:
            `Heads`, and the collections that the network updated (none in evaluation).
        """
        if not (moment.train and self.auxiliary_weight):
            logits, updated = super().apply(model, variables, batch, moment)
            return Heads(logits, ()), updated
        return apply_in_training(
            model, variables, batch["image"], moment.key, self.auxiliary_weight
        )

    def loss(
        self, model: linen.Module, variables: Mapping[str, Any], batch: Batch, moment: Moment
    ) -> tuple[Float[Array, ""], tuple[Sums, dict[str, Any]]]:
        """Returns this part's share of the batch's loss; see `Task.loss`.

        Args:
            model: the network.
            variables: its parameters and other collections.
            batch: the examples, or a part of them.
            moment: the step, its randomness and its totals.
        """
        heads, updated = self.apply(model, variables, batch, moment)
        sums = self._loss.sums(heads, batch)
        # A batch without a pixel or example that counts has a loss of 0, not 0 / 0.
        pixels = jnp.where(moment.totals["pixels"] > 0, moment.totals["pixels"], 1)
        weight = jnp.maximum(moment.totals["weight"], 1)
        share = sums["pixel_loss"] / pixels.astype(sums["pixel_loss"].dtype)
        return share + sums["image_loss"] / weight.astype(share.dtype), (sums, updated)

    def evaluate(
        self, model: linen.Module, variables: Mapping[str, Any], batch: Batch, moment: Moment
    ) -> tuple[Sums, Rows]:
        """Returns metric sums of a batch, with the network in evaluation mode.

        Args:
            model: the network.
            variables: its parameters and other collections.
            batch: the examples.
            moment: of evaluation, whose `train` is False.
        """
        heads, _ = self.apply(model, variables, batch, moment)
        return self._loss.sums(heads, batch), {}

    def loss_terms(
        self, model: linen.Module, variables: Mapping[str, Any], batch: Batch, moment: Moment
    ) -> dict[str, Float[Array, ""]]:
        """Returns the loss of the output and those of the auxiliary heads; see `Task.loss_terms`.

        Args:
            model: the network.
            variables: its parameters and other collections.
            batch: the examples.
            moment: of evaluation, whose `train` is False.
        """
        del moment
        logits, features = models.apply_with_features(model, variables, batch["image"])
        heads = {n: v for n, v in features.items() if n.startswith("aux") and self.auxiliary_weight}
        totals = self.totals(batch)
        terms = {}
        for name, values in {"output": logits, **heads}.items():
            pixel, image = self._loss.of(values, batch, name)
            mean = pixel / jnp.maximum(totals["pixels"], 1e-30) + image / totals["weight"]
            terms[name] = mean if name == "output" else self.auxiliary_weight * mean
        return terms

    def metrics(
        self, sums: Mapping[str, Any], rows: Mapping[str, np.ndarray] | None = None
    ) -> dict[str, float]:
        """Returns the loss, and the figures of one confusion over all images.

        Args:
            sums: added up over batches.
            rows: not used.
        """
        del rows
        # Without any pixel the metrics are 0, not a division by 0.
        loss = float(sums["pixel_loss"]) / max(float(sums["pixels"]), 1e-30)
        loss += float(sums["image_loss"]) / max(float(sums["weight"]), 1e-30)
        per_image = float(sums["iou"]) / max(float(sums["iou_images"]), 1)
        figures = PixelFigures.of(sums["confusion"]).metrics()
        return {"loss": loss, **figures, "mean_iou_per_image": per_image}

    def lines(self, split: str, metrics: Mapping[str, float]) -> list[tuple[str, str]]:
        """Returns the lines that a program prints of an evaluation; see `Task.lines`.

        Args:
            split: name of the evaluated split, "test".
            metrics: what `metrics` returned.
        """
        return evaluation_lines(split, metrics)

    def predict(self, outputs: Logits) -> UInt8[Array, "batch height width"]:
        """Returns the most probable class of each pixel.

        Args:
            outputs: the network's logits.
        """
        return outputs.argmax(axis=-1).astype(jnp.uint8)

    def answer(self, prediction: UInt8[np.ndarray, "height width"], top: int = 3) -> Answer:
        """Returns the share of the pixels that each class has, the largest first.

        Args:
            prediction: the class of each pixel of one image.
            top: how many classes to name.
        """
        return mask_answer(prediction, self.class_names, top)

    def pictures(
        self, evaluated: Evaluated, count: int = 16
    ) -> UInt8[np.ndarray, "pictures height width channels"]:
        """Returns the images with the lowest IoU: image, truth, prediction and error.

        Args:
            evaluated: predictions and examples of the evaluated split.
            count: the most images to return.
        """
        return drawing.worst_panels(evaluated, len(self.class_names), self.ignore_label, count)

    def report_sections(self, evaluated: Evaluated) -> TaskReport:
        """Returns what a report shows: figures, classes, confusions, and the worst images.

        Args:
            evaluated: predictions and examples of the evaluated split.
        """
        return segmentation_report(evaluated, self.class_names, self.ignore_label)
