"""Predicted and true masks of an evaluated split, in the size that the network sees."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from cnnjax.tasks.sections import Evaluated
from cnnjax.tasks.segmentation.confusion import PixelFigures

# As many images at once, so that the counts of a large split take little memory.
_BLOCK = 64


@dataclass(frozen=True)
class ImageFigures:
    """The figures of a split and of each of its images.

    Attributes:
        whole: those of one confusion over all images.
        ious: the mean IoU of each image; NaN where no pixel counts.
        wrong: the share of each image's pixels that is wrong; NaN where no pixel counts.
    """

    whole: PixelFigures
    ious: Float[np.ndarray, " examples"]
    wrong: Float[np.ndarray, " examples"]

    @property
    def mean_iou_per_image(self) -> float:
        """Mean of the images' IoU; 0 where no image has a pixel that counts."""
        known = self.ious[~np.isnan(self.ious)]
        return float(known.mean()) if known.size else 0.0

    def worst(self) -> Int[np.ndarray, " known"]:
        """Returns the places of the images that have an IoU, the lowest first."""
        # A stable sort keeps equal ones in the dataset's order; NaN is sorted to the end.
        order = np.argsort(self.ious, kind="stable")
        return order[: int((~np.isnan(self.ious)).sum())]


def image_figures(evaluated: Evaluated, classes: int, ignore_label: int) -> ImageFigures:
    """Returns the figures of an evaluated split, counted on the host.

    Args:
        evaluated: `predictions` are labels [examples, height, width]; `parts` has "mask".
        classes: number of classes.
        ignore_label: a label that does not count.
    """
    whole = np.zeros((classes, classes), np.int64)
    ious, wrong = [], []
    for start in range(0, len(evaluated), _BLOCK):
        places = np.arange(start, min(start + _BLOCK, len(evaluated)))
        masks, counted = seen_masks(evaluated, places, classes, ignore_label)
        guesses = np.asarray(evaluated.predictions)[places]
        for mask, counts, guess in zip(masks, counted, guesses, strict=True):
            pairs = mask[counts].astype(np.int64) * classes + guess[counts]
            confusion = np.bincount(pairs, minlength=classes**2).reshape(classes, classes)
            figures = PixelFigures(confusion)
            whole += confusion
            none = not figures.pixels
            ious.append(np.nan if none else figures.mean_iou)
            wrong.append(np.nan if none else 1 - figures.pixel_accuracy)
    return ImageFigures(PixelFigures(whole), np.array(ious), np.array(wrong))


def seen_masks(
    evaluated: Evaluated, places: Int[np.ndarray, " chosen"], classes: int, ignore_label: int
) -> tuple[UInt8[np.ndarray, "chosen height width"], Bool[np.ndarray, "chosen height width"]]:
    """Returns the true masks of some examples as the network sees them, and which pixels count.

    Args:
        evaluated: predictions and examples of the evaluated split.
        places: which of the examples.
        classes: number of classes.
        ignore_label: a label that does not count.
    """
    masks = np.asarray(evaluated.seen(places, ("mask",))["mask"])
    return masks.astype(np.uint8), (masks >= 0) & (masks < classes) & (masks != ignore_label)
