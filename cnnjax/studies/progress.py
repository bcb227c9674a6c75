"""The progress of a study: the runs that are finished, and the time left."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from cnnjax.studies.cost import Cost
from cnnjax.studies.folder import StudyFolder
from cnnjax.training.callbacks import Callback
from cnnjax.training.folder.names import CHECKPOINTS_FOLDER
from cnnjax.training.folder.saved import SavedCheckpoints

_logger = logging.getLogger(__name__)

LOG_SECONDS = 30.0
"""Time between two lines on a run that trains."""


class StudyProgress:
    """Estimates the time that a study still takes, from the speed of this process.

    Args:
        names: of the runs that this start is about.
        folder: the study's folder.
        costs: the cost of each run.
        is_finished: whether the run of a name is.
    """

    def __init__(
        self,
        names: Sequence[str],
        folder: StudyFolder,
        costs: Mapping[str, Cost],
        is_finished: Callable[[str], bool],
    ):
        self.names = list(names)
        self._folder, self._costs, self._is_finished = folder, costs, is_finished
        self._claims = folder.claims()
        self._started = time.monotonic()
        self._done = 0.0
        self._last = self._started

    def finished(self, name: str, before: float, share: float = 1.0) -> None:
        """Counts a run that this process has trained.

        Args:
            name: of the run.
            before: the share of it that was trained by an earlier start.
            share: the share that is trained now.
        """
        self._done += self._costs[name].total * (share - before)

    def line(self, name: str = "", share: float = 0.0, before: float = 0.0) -> str:
        """Returns how many runs are finished, and the time left where it can be estimated.

        Args:
            name: of the run that this process trains; "" for none.
            share: how much of it is done.
            before: how much of it was done by an earlier start.
        """
        finished = {name for name in self.names if self._is_finished(name)}
        failed = {
            name
            for name in self.names
            if name not in finished and self._folder.failure(name) is not None
        }
        text = f"{len(finished)} of {len(self.names)} runs finished"
        if failed:
            text += f", {len(failed)} failed"
        left = sum(self._costs[n].total for n in self.names if n not in finished | failed)
        done = self._done
        if name and name not in finished:
            left -= self._costs[name].total * share
            done += self._costs[name].total * (share - before)
        if done > 0 and left > 0:
            speed = done / (time.monotonic() - self._started)
            # Other processes are taken to be as fast as this one.
            text += f", {_duration(left / speed / max(1, len(self._claims.live())))} left"
        return text

    def is_due(self) -> bool:
        """Returns whether a line was last logged long enough ago, and counts it as logged then."""
        now = time.monotonic()
        if now - self._last < LOG_SECONDS:
            return False
        self._last = now
        return True


class RunProgress(Callback):
    """Logs a line now and then while a run of a study trains.

    Args:
        progress: that of the study.
        name: of the run.
        steps: steps of the run.
        folder: the run's folder, whose checkpoints show what an earlier start has done.

    Attributes:
        before: the share of the run that an earlier start has done.
    """

    def __init__(self, progress: StudyProgress, name: str, steps: int, folder: Path):
        self._progress, self._name, self._steps = progress, name, steps
        saved = SavedCheckpoints(folder / CHECKPOINTS_FOLDER).steps()
        self.before = min(1.0, max(saved, default=0) / steps)

    def on_log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Logs the run's step, and the study's progress.

        Args:
            step: steps done.
            metrics: not used.
        """
        del metrics
        if self._progress.is_due():
            text = self._progress.line(self._name, step / self._steps, self.before)
            _logger.info("%s: step %d of %d; %s", self._name, step, self._steps, text)


def _duration(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"
