"""What a run calls on its way, for a notebook or a tracker of one's own."""

from collections.abc import Mapping
from pathlib import Path


class Callback:
    """Called by `fit` in the first process; override what is of interest.

    What a callback raises ends the run; checkpoints written before are as they were.
    """

    def on_log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Training metrics of the steps since the last call.

        Args:
            step: steps done.
            metrics: the task's metrics, with `learning_rate` where known and `images_per_second`.
        """

    def on_evaluation(self, step: int, metrics: Mapping[str, float]) -> None:
        """Metrics of an evaluation.

        Args:
            step: steps done.
            metrics: the task's metrics over the evaluated examples.
        """

    def on_checkpoint(self, step: int, folder: Path) -> None:
        """A checkpoint was written and read back.

        Args:
            step: steps done.
            folder: where it lies.
        """
