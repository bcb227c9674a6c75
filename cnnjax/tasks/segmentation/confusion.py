"""Counts of pixels by true and predicted class, and the figures that follow from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Int32, Integer

from cnnjax.tasks.segmentation.losses import one_hot_pixels


def image_confusions(
    predicted: Integer[Array, "batch height width"],
    masks: Integer[Array, "batch height width"],
    counted: Bool[Array, "batch height width"],
    classes: int,
) -> Int32[Array, "batch classes classes"]:
    """Returns for each image the number of pixels of each true class (row) by the predicted one.

    Args:
        predicted: the predicted class of each pixel.
        masks: its true label.
        counted: which pixels count.
        classes: number of classes.
    """
    truth = one_hot_pixels(masks, classes) & counted[..., None]
    guess = one_hot_pixels(predicted, classes)
    # A product of matrices of zeros and ones is faster than counting one pixel after another. In
    # float32 its sums are exact up to 2^24, the pixels of an image of 4096x4096.
    pairs = jnp.einsum(
        "bhwt,bhwp->btp", truth.astype(jnp.float32), guess.astype(jnp.float32), precision="highest"
    )
    return pairs.astype(jnp.int32)


def image_ious(
    confusions: Int32[Array, "batch classes classes"],
) -> tuple[Float[Array, " batch"], Bool[Array, " batch"]]:
    """Returns the mean IoU of each image, over the classes that it has or that are predicted.

    Args:
        confusions: those of `image_confusions`.

    Returns:
        The means, and whether each image has a pixel that counts; without one its mean is 0.

    Source: torchmetrics 1.x, `functional.segmentation.mean_iou` with the background included.
    """
    both = jnp.diagonal(confusions, axis1=1, axis2=2).astype(jnp.float32)
    union = (confusions.sum(axis=1) + confusions.sum(axis=2)).astype(jnp.float32) - both
    there = union > 0
    ious = jnp.where(there, both / jnp.where(there, union, 1), 0)
    classes = jnp.maximum(there.sum(axis=1), 1).astype(ious.dtype)
    return ious.sum(axis=1) / classes, there.any(axis=1)


@dataclass(frozen=True)
class PixelFigures:
    """The figures of one confusion over a set of images.

    Attributes:
        counts: the number of pixels of each true class (row) by the predicted one (column).
    """

    counts: Int[np.ndarray, "classes classes"]

    @classmethod
    def of(cls, confusion: Any) -> "PixelFigures":
        """Returns the figures of an added-up confusion.

        Args:
            confusion: pixel counts [classes, classes]; floats are whole numbers but for rounding.
        """
        return cls(np.rint(np.asarray(confusion, np.float64)).astype(np.int64))

    @property
    def pixels(self) -> int:
        """Number of pixels that counted."""
        return int(self.counts.sum())

    @property
    def class_ious(self) -> Float[np.ndarray, " classes"]:
        """Intersection over union of each class; NaN for one without true and predicted pixels."""
        both = np.diag(self.counts)
        return _shares(both, self.counts.sum(axis=0) + self.counts.sum(axis=1) - both)

    @property
    def class_accuracies(self) -> Float[np.ndarray, " classes"]:
        """Share of each class's pixels that is predicted rightly; NaN for one without pixels."""
        return _shares(np.diag(self.counts), self.counts.sum(axis=1))

    @property
    def class_precisions(self) -> Float[np.ndarray, " classes"]:
        """Share of the pixels predicted as each class that is right; NaN where there are none."""
        return _shares(np.diag(self.counts), self.counts.sum(axis=0))

    @property
    def mean_iou(self) -> float:
        """Mean of `class_ious` over the classes that have one.

        Source: Long et al. 2015, section 5 (mean IU), one confusion over the whole set.
        """
        return _mean(self.class_ious)

    @property
    def foreground_iou(self) -> float:
        """IoU of all classes but the first, which is the ground, taken as one."""
        union = self.pixels - int(self.counts[0, 0])
        return int(self.counts[1:, 1:].sum()) / union if union else 0.0

    @property
    def pixel_accuracy(self) -> float:
        """Share of the pixels that is predicted rightly."""
        return int(np.trace(self.counts)) / max(self.pixels, 1)

    @property
    def class_accuracy(self) -> float:
        """Mean of `class_accuracies` over the classes that have pixels (mean accuracy there)."""
        return _mean(self.class_accuracies)

    def metrics(self) -> dict[str, float]:
        """Returns the figures that are one number."""
        return {
            "mean_iou": self.mean_iou,
            "foreground_iou": self.foreground_iou,
            "pixel_accuracy": self.pixel_accuracy,
            "class_accuracy": self.class_accuracy,
        }

    def weakest(self, names: Sequence[str], count: int = 3) -> list[tuple[str, float]]:
        """Returns the classes with the lowest IoU, the worst first.

        Args:
            names: a name for each class.
            count: how many to return.
        """
        ious = self.class_ious
        order: list[int] = np.argsort(ious, kind="stable").tolist()
        order = [c for c in order if not np.isnan(ious[c])]
        return [(names[c], float(ious[c])) for c in order[:count]]


def _shares(parts: np.ndarray, wholes: np.ndarray) -> np.ndarray:
    found = np.full(len(parts), np.nan)
    return np.divide(parts.astype(np.float64), wholes, out=found, where=wholes > 0)


def _mean(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else 0.0
