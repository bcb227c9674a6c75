"""What a run calls while it trains, for a notebook or a tracker of one's own."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cnnjax.training.run import Run

Ending = Literal["finished", "stopped", "failed"]
"""How a start of a run ends: after its last step, by a signal, or by an error."""


@dataclass(frozen=True)
class Start:
    """A start of a run, which may be its first one or continue it.

    Attributes:
        run: what is trained.
        workdir: the run's folder; None where there is none.
        step: the step that it continues from; 0 for a new run.
        run_id: the run's number, the same in all its starts; None without a folder.
    """

    run: Run
    workdir: Path | None
    step: int
    run_id: str | None


class Callback:
    """Methods that `fit` calls in the first process; override those that are needed.

    An error that a callback raises ends the run; earlier checkpoints stay as they are.
    """

    def on_start(self, start: Start) -> None:
        """Is called before the first step.

        Args:
            start: the run, and where it continues.
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

    def on_end(self, ending: Ending) -> None:
        """Is called at the end of a start, unless the process is killed.

        Args:
            ending: how it ended.
        """

    def on_report(self, page: Path) -> None:
        """Is called by `cnnjax train` when the run's report was written, also after `on_end`.

        Args:
            page: the report.
        """
