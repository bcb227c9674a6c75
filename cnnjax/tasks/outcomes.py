"""What a task makes of outputs: predictions, figures, files, and its part of a report."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Num

from cnnjax.tasks.sections import Evaluated, TaskReport
from cnnjax.tasks.sums import Batch, Sums
from cnnjax.tasks.values import Answer, Evaluation, TaskError


class Outcomes:
    """The part of a task that follows the network: see `Task`."""

    combines: ClassVar[bool] = False
    """Whether predictions of several views or networks can be joined into one; see `combine`."""

    averages: ClassVar[Mapping[str, Callable[[Any], Any]]] = {}
    """Further ways to join predictions [members, batch, ...] than `combine`, by name."""

    def predict(self, outputs: Any) -> Any:
        """Returns predictions [batch, ...], any pytree, from the network's outputs.

        Args:
            outputs: what the network returned in evaluation mode.
        """
        return outputs

    def combine(self, predictions: Any) -> Any:
        """Returns predictions [batch, ...] joined from those of several views or networks.

        Args:
            predictions: [members, batch, ...], one member for each view of each network.

        Raises:
            TaskError: predictions of this task cannot be joined.
        """
        raise TaskError(
            f"{type(self).__name__}: its predictions of several views or networks cannot be "
            "joined; give one network and show it the whole image"
        )

    def prediction_sums(self, predictions: Any, batch: Batch) -> Sums:
        """Returns the sums over a batch from which `assess` computes its figures.

        Args:
            predictions: [batch, ...], joined by `combine`.
            batch: the examples.

        Raises:
            TaskError: this task is evaluated by its metrics alone.
        """
        raise TaskError(f"{type(self).__name__}: it is evaluated by its metrics alone")

    def assess(self, sums: Mapping[str, Any]) -> Evaluation:
        """Returns the figures of added-up `prediction_sums`.

        Args:
            sums: added up over batches.

        Raises:
            TaskError: this task is evaluated by its metrics alone.
        """
        raise TaskError(f"{type(self).__name__}: it is evaluated by its metrics alone")

    def answer(self, prediction: Any, top: int = 3) -> Answer:
        """Returns the prediction for one example in the forms that are printed and written.

        Args:
            prediction: `predict`'s values for one example, NumPy arrays.
            top: how many guesses to name, where there are several.
        """
        del top
        values = np.asarray(prediction, np.float64).reshape(-1).tolist()
        columns = {f"value_{number}": value for number, value in enumerate(values, 1)}
        return Answer(", ".join(f"{v:.4g}" for v in values), {"values": values}, columns)

    def pictures(
        self, evaluated: Evaluated, count: int = 16
    ) -> Num[np.ndarray, "pictures height width channels"]:
        """Returns images that show the network's mistakes best; the first ones by default.

        Args:
            evaluated: predictions and examples of the evaluated split.
            count: the most images to return.
        """
        return np.asarray(evaluated.images[np.arange(min(count, len(evaluated)))])

    def report_sections(self, evaluated: Evaluated) -> TaskReport:
        """Returns what a report shows of the task, as data; by default only its metrics.

        Args:
            evaluated: predictions and examples of the evaluated split.
        """
        del evaluated
        return TaskReport((), ())
