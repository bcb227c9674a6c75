"""Values that a task receives and returns: a step's moment, a score, predictions, evaluations."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Array, Int32, Key

from cnnjax.tasks.marked_boxes import MarkedBox


class TaskError(ValueError):
    """A task does not support the operation."""


@dataclass(frozen=True)
class Moment:
    """The step's part of a task's arguments, besides network, variables and batch.

    Attributes:
        key: randomness, of dropout among others; each part of a batch and each device has its own.
        train: True where the step trains, False where it evaluates.
        step: steps done before this one, int32; 0 in evaluation.
        totals: the sums of `Task.totals` over the whole batch, all its parts and devices.
        averages: moving averages of the network's variables, as `model.apply` takes them; None
            where the run keeps none, and in evaluation.
        state: the task's state before the step.
        axis_name: mapped axis (of `jax.pmap`) over which the batch is spread: the arrays of the
            batch are then one device's part of it. None where they are all there is.
        parts: number of parts into which the batch is cut, one after another. A loss that is no sum
            over examples can be computed for 1 only.
    """

    key: Key[Array, ""]
    train: bool
    step: Int32[Array, ""] | int = 0
    totals: Mapping[str, Array] = dataclasses.field(default_factory=dict)
    averages: Mapping[str, Any] | None = None
    state: Any = ()
    axis_name: str | None = None
    parts: int = 1


@dataclass(frozen=True)
class Score:
    """The metric by which checkpoints are chosen.

    Attributes:
        metric: its name.
        higher_is_better: its direction.
    """

    metric: str = "loss"
    higher_is_better: bool = False

    def value(self, metrics: Mapping[str, float]) -> float:
        """Returns a number that is higher for a better network.

        Args:
            metrics: of an evaluation, by name.
        """
        return metrics[self.metric] if self.higher_is_better else -metrics[self.metric]


@dataclass(frozen=True)
class Answer:
    """A network's prediction for one example, in the forms that are printed and written.

    Attributes:
        line: text to print.
        values: JSON values. Each of a list `objects` has a `box` as shares of the image's sides,
            which is written in pixels of the file.
        columns: the same as columns of a table, by name.
        boxes: those of the prediction, to be drawn on the image.
        mask: the label of each pixel, uint8 [height, width]; None for other tasks.
    """

    line: str
    values: Mapping[str, Any]
    columns: Mapping[str, Any]
    boxes: Sequence[MarkedBox] = ()
    mask: np.ndarray | None = None


@dataclass(frozen=True)
class Evaluation:
    """How good predictions are on a whole split.

    Attributes:
        metrics: figures that are one number each.
        lines: pairs of a name and a text, to print.
        details: all figures as JSON values.
    """

    metrics: Mapping[str, float]
    lines: Sequence[tuple[str, str]]
    details: Mapping[str, Any]
