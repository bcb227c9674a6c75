"""Localization: the class of an image's object, and its box."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, NamedTuple

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from cnnjax.data.examples import Spec
from cnnjax.ops.accumulation import sum_dtype
from cnnjax.tasks.base import Batch, Task
from cnnjax.tasks.boxes.box_checks import (
    check_at_least,
    check_box_examples,
    check_box_values,
    check_outputs,
)
from cnnjax.tasks.boxes.geometry import box_iou, centers_to_corners, corners_to_centers
from cnnjax.tasks.boxes.heat_maps import real_boxes
from cnnjax.tasks.boxes.localization_report import CURVES, localization_report
from cnnjax.tasks.boxes.text import localization_answer
from cnnjax.tasks.losses import softmax_cross_entropy
from cnnjax.tasks.sections import Evaluated, MetricChart, TaskReport
from cnnjax.tasks.sums import weighted_sums
from cnnjax.tasks.values import Answer, Moment, Score

FOUND_FROM = 0.5
"""The least overlap of a box that counts as right."""


class Placed(NamedTuple):
    """Predictions of a localization.

    Attributes:
        log_probabilities: of each class, in nats.
        boxes: top, left, bottom and right as shares of the image's sides.
    """

    log_probabilities: Float[Array, "batch classes"]
    boxes: Float[Array, "batch 4"]


class Truth(NamedTuple):
    """The object of each image: its class, its box in pixels, and whether there is one."""

    labels: Int[Array, " batch"]
    boxes: Float[Array, "batch 4"]
    real: Bool[Array, " batch"]


@dataclass(frozen=True)
class Localization(Task):
    """Classification of an image's one object, with its box.

    The network gives [batch, classes + 4]: the logits of the classes, then the box's center x and
    y, its width and height, as shares of the image's width and height (`localizer`). The loss is
    the cross-entropy of the class plus `box_weight` times the error of the four numbers.

    A batch has `image`, `boxes` [batch, maximum, 4] in pixels, of which the first is the object,
    and its class: `label` [batch], or else the first of `boxes_label` [batch, maximum]. An image
    whose box has no area, such as one that augmentation moved out of the image, has no box loss.

    Attributes:
        class_names: a name for each label.
        box_loss: "squared", the sum of squared errors, or "smooth_l1", which grows linearly for
            errors above `beta` (Girshick 2015, equation 3).
        box_weight: weight of the box's loss.
        class_weight: weight of the class's loss.
        beta: error at which "smooth_l1" becomes linear, as a share of the image's side.

    Raises:
        ValueError: the loss is unknown, or a weight is negative.
    """

    class_names: tuple[str, ...] = field(repr=False)
    box_loss: Literal["squared", "smooth_l1"] = "smooth_l1"
    box_weight: float = 10.0
    class_weight: float = 1.0
    beta: float = 0.05

    score: ClassVar[Score] = Score("localization_accuracy", higher_is_better=True)
    curves: ClassVar[tuple[MetricChart, ...]] = CURVES
    part_kinds = ("image", "boxes", "count", "labels", "label")

    def __post_init__(self) -> None:
        """Refuses an unknown loss, and settings that are out of range."""
        if self.box_loss not in ("squared", "smooth_l1"):
            raise ValueError(
                f"task.box_loss: {self.box_loss!r} is unknown; give 'squared' or 'smooth_l1'"
            )
        check_at_least(0, box_weight=self.box_weight, class_weight=self.class_weight)
        check_at_least(1e-6, beta=self.beta)

    def outputs(self, spec: Spec) -> int:
        """Returns the number of classes; a localizer adds the four numbers of the box.

        Args:
            spec: not used.
        """
        del spec
        return len(self.class_names)

    def check(self, spec: Spec, outputs: Any) -> None:
        """Refuses examples without boxes, and a network without a box head.

        Args:
            spec: the parts of the first stream's examples.
            outputs: shape and dtype of what the network gives for a batch.
        """
        check_box_examples(spec, "localization", ("label", "boxes_label"))
        classes = len(self.class_names)
        form = f"[batch, {classes + 4}], the logits of {classes} classes and x, y, width, height"
        check_outputs(outputs, "localization", form, 2, classes + 4, "localizer")

    def check_values(self, parts: Mapping[str, np.ndarray]) -> None:
        """Refuses boxes outside the image and unknown classes; see `Task.check_values`.

        Args:
            parts: the parts of some examples, [examples, ...].
        """
        check_box_values(parts, len(self.class_names))

    def example_losses(
        self, outputs: Float[Array, "batch values"], batch: Batch, moment: Moment
    ) -> Float[Array, " batch"]:
        """Returns the weighted sum of the class's and the box's loss of each example.

        Args:
            outputs: what the network gave.
            batch: the examples.
            moment: not used.
        """
        del moment
        of_class, of_box = self._losses(outputs, batch)
        return of_class + of_box

    def loss_terms(
        self, model: linen.Module, variables: Mapping[str, Any], batch: Batch, moment: Moment
    ) -> dict[str, Float[Array, ""]]:
        """Returns the weighted losses of class and box, whose gradients a report compares.

        Args:
            model: the network.
            variables: its parameters and other collections.
            batch: the examples.
            moment: of evaluation, whose `train` is False.
        """
        outputs, _ = self.apply(model, variables, batch, moment)
        of_class, of_box = self._losses(outputs, batch)
        terms: dict[str, Array] = {"class": of_class, "box": of_box}
        sums = weighted_sums(terms, batch)
        return {name: sums[name] / sums["weight"].astype(sums[name].dtype) for name in terms}

    def example_metrics(
        self, outputs: Float[Array, "batch values"], batch: Batch
    ) -> Mapping[str, Float[Array, " batch"]]:
        """Returns whether class and box are right, and the overlap of the box with the true one.

        Args:
            outputs: what the network gave.
            batch: the examples.

        Returns:
            `accuracy`: whether the class is right. `iou`: the boxes' intersection over union.
            `box_accuracy`: whether it is at least 0.5. `localization_accuracy`: whether both are
            so. An example whose outputs are not all finite is wrong, with an overlap of 0.
        """
        truth = _truth(batch)
        finite = jnp.isfinite(outputs).all(axis=-1)
        logits, _ = self._split(outputs)
        boxes = self.predict(outputs).boxes * _sides(batch)
        iou = jnp.where(finite & truth.real, box_iou(boxes, truth.boxes.astype(boxes.dtype)), 0)
        right = (logits.argmax(axis=-1) == truth.labels) & finite
        found = iou >= FOUND_FROM
        dtype = batch["weight"].dtype
        return {
            "accuracy": right.astype(dtype),
            "iou": iou.astype(dtype),
            "box_accuracy": found.astype(dtype),
            "localization_accuracy": (right & found).astype(dtype),
        }

    def metrics(
        self, sums: Mapping[str, Any], rows: Mapping[str, np.ndarray] | None = None
    ) -> dict[str, float]:
        """Returns `loss`, `localization_accuracy`, `accuracy`, `box_accuracy` and `mean_iou`.

        Args:
            sums: added up over batches.
            rows: see `Task.metrics`.
        """
        means = super().metrics(sums, rows)
        names = ("loss", "localization_accuracy", "accuracy", "box_accuracy")
        return {**{name: means[name] for name in names}, "mean_iou": means["iou"]}

    def lines(self, split: str, metrics: Mapping[str, float]) -> list[tuple[str, str]]:
        """Returns the shares in per cent, the overlap and the loss.

        Args:
            split: name of the evaluated split.
            metrics: what `metrics` returned.
        """
        return [
            (f"{split} localization", f"{metrics['localization_accuracy']:.2%}"),
            ("class accuracy", f"{metrics['accuracy']:.2%}"),
            (f"box IoU >= {FOUND_FROM}", f"{metrics['box_accuracy']:.2%}"),
            ("mean IoU", f"{metrics['mean_iou']:.4f}"),
            ("loss", f"{metrics['loss']:.4f}"),
        ]

    def predict(self, outputs: Float[Array, "batch values"]) -> Placed:
        """Returns log-probabilities of the classes, and boxes cut to the image.

        Args:
            outputs: what the network gave.
        """
        logits, numbers = self._split(outputs)
        corners = centers_to_corners(numbers)
        boxes = jnp.clip(corners, 0, 1)
        return Placed(jax.nn.log_softmax(logits), boxes)

    def answer(self, prediction: Any, top: int = 3) -> Answer:
        """Returns the most probable classes and the box.

        Args:
            prediction: `predict`'s values for one example, NumPy arrays.
            top: how many classes to name.
        """
        log_probabilities, box = prediction
        return localization_answer(log_probabilities, box, self.class_names, top)

    def pictures(self, evaluated: Evaluated, count: int = 16) -> np.ndarray:
        """Returns the images whose box overlaps the true one least, the worst first.

        Args:
            evaluated: predictions and examples of the evaluated split.
            count: the most images to return.
        """
        worst = localization_report(evaluated, self.class_names).order[:count]
        return np.asarray(evaluated.images[worst])

    def report_sections(self, evaluated: Evaluated) -> TaskReport:
        """Returns figures, accuracy by class and by overlap, and pictures with boxes.

        Args:
            evaluated: predictions and examples of the evaluated split.
        """
        return localization_report(evaluated, self.class_names).report

    def _split(
        self, outputs: Float[Array, "batch values"]
    ) -> tuple[Float[Array, "batch classes"], Float[Array, "batch 4"]]:
        outputs = outputs.astype(sum_dtype(outputs.dtype))
        return outputs[:, :-4], outputs[:, -4:]

    def _losses(
        self, outputs: Float[Array, "batch values"], batch: Batch
    ) -> tuple[Float[Array, " batch"], Float[Array, " batch"]]:
        """Returns the weighted losses of class and box."""
        truth = _truth(batch)
        logits, numbers = self._split(outputs)
        targets = batch.get("target")
        if targets is None:
            targets = jax.nn.one_hot(truth.labels, logits.shape[-1])
        of_class = softmax_cross_entropy(logits, targets)
        shares = corners_to_centers(truth.boxes / _sides(batch)).astype(numbers.dtype)
        errors = numbers - shares
        if self.box_loss == "squared":
            terms = errors**2
        else:
            size = jnp.abs(errors)
            # Both pieces meet at `beta` with a slope of 1.
            small = errors**2 / (2 * self.beta)
            terms = jnp.where(size < self.beta, small, size - self.beta / 2)
        of_box = jnp.where(truth.real, terms.sum(axis=-1), 0)
        return self.class_weight * of_class, self.box_weight * of_box


def _truth(batch: Batch) -> Truth:
    boxes = batch["boxes"]
    real = real_boxes(boxes, batch.get("boxes_count"))[:, 0]
    labels = batch["label"] if "label" in batch else batch["boxes_label"][:, 0]
    return Truth(labels, boxes[:, 0], real)


def _sides(batch: Batch) -> Float[Array, "1 4"]:
    """Returns height, width, height and width of the images in pixels."""
    height, width = batch["image"].shape[1:3]
    return jnp.asarray([height, width, height, width], jnp.float32).reshape(1, 4)
