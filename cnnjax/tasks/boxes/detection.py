"""Detection: all objects of an image, each with its class, its box and a score."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from cnnjax.data.examples import Spec
from cnnjax.ops.accumulation import sum_dtype
from cnnjax.tasks.base import Batch, Rows, Task
from cnnjax.tasks.boxes.average_precision import AREAS, Found, precision_recall
from cnnjax.tasks.boxes.box_checks import (
    check_at_least,
    check_box_examples,
    check_box_values,
    check_outputs,
)
from cnnjax.tasks.boxes.detection_report import CURVES, detection_report, worst_first
from cnnjax.tasks.boxes.heat_maps import (
    Centers,
    Peaks,
    at_centers,
    draw_heat,
    find_centers,
    find_peaks,
    heat_losses,
    real_boxes,
)
from cnnjax.tasks.boxes.text import detection_answer
from cnnjax.tasks.sections import Evaluated, MetricChart, TaskReport
from cnnjax.tasks.sums import weighted_sums
from cnnjax.tasks.values import Answer, Moment, Score


class CenterMaps(NamedTuple):
    """The maps of a center network.

    Attributes:
        heat: logits of a center of each class in each cell.
        sides: height and width in cells.
        offsets: from a cell's corner to the center, rows and columns.
    """

    heat: Float[Array, "batch rows columns classes"]
    sides: Float[Array, "batch rows columns 2"]
    offsets: Float[Array, "batch rows columns 2"]


@dataclass(frozen=True)
class Detection(Task):
    """Detection of objects as points (Zhou et al. 2019).

    The network gives [batch, rows, columns, classes + 4]: for each cell of a coarse map the logits
    of a center of each class, then the object's height and width in cells, and the center's offset
    from the cell's corner, rows and columns (`center_net`). The cells divide the image evenly.

    A batch has `image`, `boxes` [batch, maximum, 4] in pixels and `boxes_label` [batch, maximum];
    rows beyond `boxes_count` and boxes without area are no objects.

    The loss of an image is the penalty-reduced focal loss of the heat, `size_weight` times the
    absolute error of height and width, and `offset_weight` times that of the offset, each divided
    by the number of the image's objects.

    Attributes:
        class_names: a name for each class.
        size_weight: of the size's loss.
        offset_weight: of the offset's loss.
        least_overlap: of a box whose corners are moved to the edge of its bump in the heat map
            with the true one; see `gaussian_radius`.
        max_detections: the most boxes of an image, those of the highest scores.

    Raises:
        ValueError: a setting is out of range.
    """

    class_names: tuple[str, ...] = field(repr=False)
    size_weight: float = 0.1
    offset_weight: float = 1.0
    least_overlap: float = 0.7
    max_detections: int = 100

    score: ClassVar[Score] = Score("ap", higher_is_better=True)
    curves: ClassVar[tuple[MetricChart, ...]] = CURVES
    part_kinds = ("image", "boxes", "count", "labels")

    def __post_init__(self) -> None:
        """Refuses settings that are out of range."""
        check_at_least(0, size_weight=self.size_weight, offset_weight=self.offset_weight)
        check_at_least(1, max_detections=self.max_detections)
        if not 0 < self.least_overlap < 1:
            raise ValueError(
                f"task.least_overlap: {self.least_overlap!r} was given; give a number between 0 "
                "and 1"
            )

    def outputs(self, spec: Spec) -> int:
        """Returns the number of classes; a center network adds size and offset.

        Args:
            spec: not used.
        """
        del spec
        return len(self.class_names)

    def check(self, spec: Spec, outputs: Any) -> None:
        """Refuses examples without boxes, and a network without maps of centers.

        Args:
            spec: the parts of the first stream's examples.
            outputs: shape and dtype of what the network gives for a batch.
        """
        check_box_examples(spec, "detection", ("boxes_label",))
        channels = len(self.class_names) + 4
        form = f"[batch, rows, columns, {channels}], {channels - 4} classes, size and offset"
        check_outputs(outputs, "detection", form, 4, channels, "center_net")

    def check_values(self, parts: Mapping[str, np.ndarray]) -> None:
        """Refuses boxes outside the image and unknown classes; see `Task.check_values`.

        Args:
            parts: the parts of some examples, [examples, ...].
        """
        check_box_values(parts, len(self.class_names))

    def example_losses(
        self, outputs: Float[Array, "batch rows columns channels"], batch: Batch, moment: Moment
    ) -> Float[Array, " batch"]:
        """Returns the sum of the losses of heat, size and offset of each image.

        Args:
            outputs: what the network gave.
            batch: the examples.
            moment: not used.
        """
        del moment
        return jnp.stack(list(self._losses(outputs, batch).values())).sum(axis=0)

    def loss_terms(
        self, model: linen.Module, variables: Mapping[str, Any], batch: Batch, moment: Moment
    ) -> dict[str, Float[Array, ""]]:
        """Returns the weighted losses of heat, size and offset, whose gradients a report compares.

        Args:
            model: the network.
            variables: its parameters and other collections.
            batch: the examples.
            moment: of evaluation, whose `train` is False.
        """
        outputs, _ = self.apply(model, variables, batch, moment)
        terms = self._losses(outputs, batch)
        sums = weighted_sums(terms, batch)
        return {name: sums[name] / sums["weight"].astype(sums[name].dtype) for name in terms}

    def example_rows(
        self, outputs: Float[Array, "batch rows columns channels"], batch: Batch
    ) -> Rows:
        """Returns the detections and the objects of each image, in pixels.

        Args:
            outputs: what the network gave.
            batch: the examples.
        """
        peaks = self.predict(outputs)
        height, width = batch["image"].shape[1:3]
        pixels = jnp.asarray([height, width, height, width], peaks.boxes.dtype).reshape(1, 1, 4)
        real = real_boxes(batch["boxes"], batch.get("boxes_count"))
        return {
            "boxes": peaks.boxes * pixels,
            "scores": peaks.scores,
            "labels": peaks.labels,
            "true_boxes": batch["boxes"],
            "true_labels": jnp.where(real, batch["boxes_label"], -1),
        }

    def metrics(
        self, sums: Mapping[str, Any], rows: Mapping[str, np.ndarray] | None = None
    ) -> dict[str, float]:
        """Returns the loss; of a whole split also the average precisions of COCO.

        Args:
            sums: added up over batches.
            rows: detections and objects of all images of a split; None in training.

        Returns:
            `loss`; `ap`, the mean over overlaps of 0.50 to 0.95; `ap50` and `ap75`, those at 0.5
            and 0.75; `ap_small`, `ap_medium` and `ap_large`, those of objects below 32^2, up to
            96^2 and above 96^2 pixels of the network's input. Without such objects they are 0.
        """
        means = super().metrics(sums, rows)
        if rows is None:
            return means
        found = Found(**rows)
        curves = {area: precision_recall(found, len(self.class_names), area) for area in AREAS}
        figures = {
            "ap": curves["all"].average(),
            "ap50": curves["all"].average(0.5),
            "ap75": curves["all"].average(0.75),
            **{f"ap_{area}": curves[area].average() for area in AREAS if area != "all"},
        }
        return {**means, **{name: float(np.nan_to_num(value)) for name, value in figures.items()}}

    def lines(self, split: str, metrics: Mapping[str, float]) -> list[tuple[str, str]]:
        """Returns the average precisions in per cent, and the loss.

        Args:
            split: name of the evaluated split.
            metrics: what `metrics` returned.
        """
        if "ap" not in metrics:
            return super().lines(split, metrics)
        return [
            (f"{split} AP", f"{metrics['ap']:.2%}"),
            ("AP at IoU 0.50", f"{metrics['ap50']:.2%}"),
            ("AP at IoU 0.75", f"{metrics['ap75']:.2%}"),
            ("loss", f"{metrics['loss']:.4f}"),
        ]

    def predict(self, outputs: Float[Array, "batch rows columns channels"]) -> Peaks:
        """Returns the boxes at the peaks of the heat maps.

        Args:
            outputs: what the network gave.
        """
        maps = self._split(outputs)
        # A heat that is not a number is no peak.
        heat = jnp.nan_to_num(jax.nn.sigmoid(maps.heat))
        return find_peaks(heat, maps.sides, maps.offsets, self.max_detections)

    def answer(self, prediction: Any, top: int = 3) -> Answer:
        """Returns the boxes of the highest scores, with their classes.

        Args:
            prediction: `predict`'s values for one example, NumPy arrays.
            top: how many boxes to name in the printed line and in a table; JSON has all.
        """
        scores, labels, boxes = prediction
        return detection_answer(scores, labels, boxes, self.class_names, top)

    def pictures(self, evaluated: Evaluated, count: int = 16) -> np.ndarray:
        """Returns the images with the most mistakes for their objects, the worst first.

        Args:
            evaluated: predictions and examples of the evaluated split.
            count: the most images to return.
        """
        return np.asarray(evaluated.images[worst_first(evaluated)[:count]])

    def report_sections(self, evaluated: Evaluated) -> TaskReport:
        """Returns average precisions, curves of precision by recall, and pictures with boxes.

        Args:
            evaluated: predictions and examples of the evaluated split.
        """
        return detection_report(evaluated, self.class_names)

    def _split(self, outputs: Float[Array, "batch rows columns channels"]) -> CenterMaps:
        outputs = outputs.astype(sum_dtype(outputs.dtype))
        return CenterMaps(outputs[..., :-4], outputs[..., -4:-2], outputs[..., -2:])

    def _losses(
        self, outputs: Float[Array, "batch rows columns channels"], batch: Batch
    ) -> dict[str, Float[Array, " batch"]]:
        """Returns the weighted losses of heat, size and offset."""
        maps = self._split(outputs)
        centers = self._centers(maps, batch)
        size = (maps.heat.shape[1], maps.heat.shape[2])
        heat = draw_heat(centers, size, len(self.class_names), self.least_overlap)
        objects = jnp.maximum(centers.real.sum(axis=1), 1).astype(maps.heat.dtype)
        losses = {"heat": heat_losses(maps.heat, heat.astype(maps.heat.dtype))}
        weights = {"sides": self.size_weight, "offsets": self.offset_weight}
        for name, weight in weights.items():
            errors = jnp.abs(at_centers(getattr(maps, name), centers) - getattr(centers, name))
            own = jnp.where(centers.real, errors.sum(axis=-1), 0)
            losses[name] = weight * own.sum(axis=1).astype(maps.heat.dtype)
        return {name: values / objects for name, values in losses.items()}

    def _centers(self, maps: CenterMaps, batch: Batch) -> Centers:
        size, image = (maps.heat.shape[1], maps.heat.shape[2]), batch["image"].shape[1:3]
        boxes = batch["boxes"]
        real = real_boxes(boxes, batch.get("boxes_count"))
        stride = (image[0] / size[0], image[1] / size[1])
        return find_centers(boxes, batch["boxes_label"], real, stride, size)
