"""What classification refuses before any work: settings, examples and outputs that do not fit."""

from collections.abc import Mapping
from typing import Any, get_args

import numpy as np

from cnnjax.data.examples import Spec
from cnnjax.tasks.losses import LossName, OwnLoss


def check_settings(
    loss_function: LossName | OwnLoss, label_smoothing: float, auxiliary_weight: float
) -> None:
    """Refuses an unknown loss, and settings that are out of range or that the loss does not take.

    Args:
        loss_function: the loss's name, or a function of logits and targets.
        label_smoothing: share of the targets that is spread evenly over all classes.
        auxiliary_weight: weight of the loss of each auxiliary head.

    Raises:
        ValueError: the message names the setting of the task.
    """
    known = get_args(LossName)
    if not callable(loss_function) and loss_function not in known:
        raise ValueError(
            f"task.loss_function: {loss_function!r} is unknown; known: {', '.join(known)}"
        )
    if not 0 <= label_smoothing < 1:
        raise ValueError(
            f"task.label_smoothing: {label_smoothing} was given; give 0 or more, below 1"
        )
    if label_smoothing and loss_function != "softmax":
        raise ValueError(
            f"task.label_smoothing: {label_smoothing} was given with the loss {loss_function}; it "
            "belongs to softmax: set it to 0, or task.loss_function to 'softmax'"
        )
    if auxiliary_weight < 0:
        raise ValueError(f"task.auxiliary_weight: {auxiliary_weight} was given; give 0 or more")


def check_examples(spec: Spec, outputs: Any, classes: int) -> None:
    """Refuses examples without image and label, and outputs that are no logits of the classes.

    Args:
        spec: the parts of the first stream's examples.
        outputs: shape and dtype of what the network gives for a batch.
        classes: number of classes.

    Raises:
        ValueError: they do not fit.
    """
    for part in ("image", "label"):
        if part not in spec:
            raise ValueError(
                f"data: classification needs the parts image and label; these examples have "
                f"{', '.join(spec)}"
            )
    # A network may return several arrays, which have no shape together.
    shape = getattr(outputs, "shape", None)
    if shape is None or len(shape) != 2 or shape[1] != classes:
        given = shape if shape is not None else type(outputs).__name__
        raise ValueError(
            f"model: classification of {classes} classes needs logits [batch, {classes}], but the "
            f"network gives {given}"
        )


def check_labels(parts: Mapping[str, np.ndarray], classes: int) -> None:
    """Refuses labels without a class.

    Args:
        parts: the parts of some examples, [examples, ...].
        classes: number of classes.

    Raises:
        ValueError: there are such labels.
    """
    labels = parts.get("label")
    if labels is None or not labels.size:
        return
    least, most = int(labels.min()), int(labels.max())
    if least < 0 or most >= classes:
        raise ValueError(
            f"data: labels from {least} to {most} were given for {classes} classes, whose labels "
            f"are 0 to {classes - 1}; number them anew, or give task.class_names for all"
        )
