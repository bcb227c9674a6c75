"""What a run calls while it trains, for a notebook or a tracker of one's own."""

from collections.abc import Mapping
from pathlib import Path


class Callback:
    """Methods that `fit` calls in the first process; override those that are needed.

    An error that a callback raises ends the run; earlier checkpoints stay as they are.
    """

    def on_log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Receives the training metrics of the steps since the last call.

        Args:
            step: steps done.
            metrics: the task's metrics, with `learning_rate` where known and `images_per_second`.
        """

    def on_evaluation(self, step: int, metrics: Mapping[str, float]) -> None:
        """Receives the metrics of an evaluation.

        Args:
            step: steps done.
            metrics: the task's metrics over the evaluated examples.
        """

    def on_checkpoint(self, step: int, folder: Path) -> None:
        """Is called when a checkpoint was written and read back.

        Args:
            step: steps done.
            folder: the checkpoint's folder.
        """
