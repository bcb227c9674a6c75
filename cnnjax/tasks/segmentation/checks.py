"""What segmentation refuses before any work: examples, outputs and masks that do not fit."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from cnnjax.data.examples import Spec


def check_examples(spec: Spec, outputs: Any, classes: int) -> None:
    """Refuses examples without image and mask, and outputs that are no logits for each pixel.

    Args:
        spec: the parts of the first stream's examples.
        outputs: shape and dtype of what the network gives for a batch.
        classes: number of classes.

    Raises:
        ValueError: they do not fit.
    """
    for part in ("image", "mask"):
        if part not in spec or spec[part].kind != part:
            raise ValueError(
                f"data: segmentation needs the parts image and mask; these examples have "
                f"{', '.join(spec)} (digit_scenes, oxford_iiit_pet and masks:PATH have masks)"
            )
    shape = getattr(outputs, "shape", None)
    if shape is None or len(shape) != 4 or shape[3] != classes:
        given = shape if shape is not None else type(outputs).__name__
        raise ValueError(
            f"model: segmentation of {classes} classes needs logits [batch, height, width, "
            f"{classes}], but the network gives {given}; choose a network for dense outputs, such "
            "as unet or fcn8s"
        )


def check_sizes(what: str, logits: tuple[int, ...], masks: tuple[int, ...]) -> None:
    """Refuses outputs whose height and width are not those of the masks.

    Args:
        what: names the outputs.
        logits: their shape.
        masks: shape of the masks.

    Raises:
        ValueError: they differ.
    """
    if logits[:-1] != masks:
        raise ValueError(
            f"model: {what} is {list(logits)} for masks {list(masks)}; segmentation needs a class "
            "for each pixel: give a network that upsamples its output to the size of its input"
        )


def check_masks(parts: Mapping[str, np.ndarray], classes: int, ignore_label: int) -> None:
    """Refuses masks with labels without a class.

    Args:
        parts: the parts of some examples, [examples, ...].
        classes: number of classes.
        ignore_label: a label that does not count; 255 never does.

    Raises:
        ValueError: there are such labels; the message names the first example with one.
    """
    masks = parts.get("mask")
    if masks is None or not masks.size:
        return
    # A look at the largest value spares most sets the comparison of each pixel.
    if masks.min() >= 0 and masks.max() < classes:
        return
    known = (masks >= 0) & (masks < classes) | (masks == ignore_label) | (masks == 255)
    if known.all():
        return
    row = int(np.flatnonzero(~known.reshape(len(masks), -1).all(axis=1))[0])
    value = int(masks[row][~known[row]][0])
    raise ValueError(
        f"data: the mask of example {row} has {int((masks[row] == value).sum()):,} pixels of the "
        f"label {value}, but there are {classes} classes, whose labels are 0 to {classes - 1}, and "
        f"{ignore_label} for pixels to ignore; number them anew, give task.class_names for all, or "
        f"set task.ignore_label to {value}"
    )
