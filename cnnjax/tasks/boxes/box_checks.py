"""What tasks with boxes refuse before any work: settings, examples and values that do not fit."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from cnnjax.data.examples import Spec


def check_at_least(least: float, **settings: float) -> None:
    """Refuses settings that are too small.

    Args:
        least: the smallest value that is allowed.
        **settings: values by the names of the task's fields.

    Raises:
        ValueError: one is smaller; the message names the setting.
    """
    for name, value in settings.items():
        if not value >= least:
            raise ValueError(f"task.{name}: {value!r} was given; give {least} or more")


def check_box_examples(spec: Spec, task: str, labels: tuple[str, ...]) -> None:
    """Refuses examples without an image, boxes and their classes.

    Args:
        spec: the parts of the first stream's examples.
        task: name of the task, for the message.
        labels: the parts that can hold the classes, the preferred one first.

    Raises:
        ValueError: a part is missing.
    """
    found = ", ".join(spec)
    for part in ("image", "boxes"):
        if part not in spec:
            raise ValueError(
                f"data: {task} needs the parts image and boxes; these examples have {found}"
            )
    if not any(part in spec for part in labels):
        raise ValueError(
            f"data: {task} needs the class of each object, as the part {' or '.join(labels)}; "
            f"these examples have {found}"
        )


def check_box_values(parts: Mapping[str, np.ndarray], classes: int) -> None:
    """Refuses boxes outside the image, boxes that end before they start, and unknown classes.

    Args:
        parts: the parts of some examples, [examples, ...].
        classes: number of classes.

    Raises:
        ValueError: there are such boxes or classes; the message names the first example.
    """
    boxes, count = parts.get("boxes"), parts.get("boxes_count")
    if boxes is None or not boxes.size:
        return
    counted = np.ones(boxes.shape[:2], bool)
    if count is not None:
        counted = np.arange(boxes.shape[1])[None] < np.asarray(count)[:, None]
    # A row of zeros is no object.
    real = counted & (boxes != 0).any(axis=-1)
    turned = real & (boxes[..., 2:] < boxes[..., :2]).any(axis=-1)
    _refuse(turned, boxes, "ends before it starts; boxes are top, left, bottom and right")
    image = parts.get("image")
    if image is not None:
        height, width = image.shape[1:3]
        # A rounding error beyond the edge is none.
        low, high = boxes[..., :2] < -1e-3, boxes[..., 2:] > np.array([height, width]) + 1e-3
        beyond = real & (low | high).any(axis=-1)
        _refuse(beyond, boxes, f"is not within the image of {height}x{width}; cut it to the image")
    labels = parts.get("boxes_label")
    if labels is None:
        return
    unknown = real & ((labels < 0) | (labels >= classes))
    if unknown.any():
        example, slot = np.argwhere(unknown)[0].tolist()
        raise ValueError(
            f"data: example {example}, box {slot}: the class {labels[example, slot]} is unknown; "
            f"the {classes} classes are 0 to {classes - 1}"
        )


def _refuse(wrong: np.ndarray, boxes: np.ndarray, problem: str) -> None:
    if wrong.any():
        example, slot = np.argwhere(wrong)[0].tolist()
        given = ", ".join(f"{value:g}" for value in boxes[example, slot])
        raise ValueError(f"data: example {example}, box {slot}: ({given}) {problem}")


def check_outputs(outputs: Any, task: str, form: str, axes: int, channels: int, net: str) -> None:
    """Refuses a network whose outputs are not those that the task reads.

    Args:
        outputs: shape and dtype of what the network gives for a batch.
        task: name of the task, for the message.
        form: what the task needs, in words.
        axes: number of axes.
        channels: size of the last axis.
        net: name of a network that fits.

    Raises:
        ValueError: they are not.
    """
    shape = getattr(outputs, "shape", None)
    if shape is None or len(shape) != axes or shape[-1] != channels:
        given = list(shape) if shape is not None else type(outputs).__name__
        raise ValueError(
            f"model: {task} needs {form}, but the network gives {given}; use {net!r}, or a network "
            "of yours with these outputs"
        )
