"""What all trackers share: a service that fails or is away never ends a training.

What could not be sent is kept and sent later. What a run's folder has of earlier starts is sent
too, so that a service that was away for a whole start, or is new to the run, has all of it.
"""

import abc
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cnnjax.training.callbacks import Callback, Ending, Start
from cnnjax.training.folder.metrics import read_metrics

_logger = logging.getLogger(__name__)

PAUSE_SECONDS = 60.0
"""After a failure, nothing is sent for at least this long."""

PAUSE_FACTOR = 20
"""Nor for this many times what the failure took, so that a training loses 5 % at most."""

AT_ONCE = 40
"""How many steps' metrics are sent together at most."""


@dataclass(frozen=True)
class Measured:
    """What was measured at a step.

    Attributes:
        split: "train", "test" or "validation".
        step: steps done.
        time: when it was measured, in seconds since 1970; of earlier starts, when they were read.
        metrics: values by name.
    """

    split: str
    step: int
    time: float
    metrics: Mapping[str, float]


class Tracker(Callback, abc.ABC):
    """A service that receives parameters, metrics and reports of runs.

    Subclasses define `open` and `send`, and maybe `attach` and `close`. Whatever these raise is
    logged once as a warning, and tried again later.

    Attributes:
        name: of the service, for messages.
    """

    name = "tracker"

    def __init__(self) -> None:
        self._start: Start | None = None
        self._is_open = False
        self._known: Mapping[str, int] = {}
        self._pending: list[Measured] = []
        self._files: list[Path] = []
        self._ending: Ending | None = None
        self._paused_until = 0.0
        self._warned = False

    @abc.abstractmethod
    def open(self, start: Start) -> Mapping[str, int]:
        """Makes the run known to the service, or finds it there.

        Args:
            start: the run; `start.run_id` is the same in all starts of a folder's run.

        Returns:
            The last step that the service has of each split; empty for a new run.
        """

    @abc.abstractmethod
    def send(self, values: Sequence[Measured]) -> None:
        """Sends metrics.

        Args:
            values: in the order in which they were measured.
        """

    def attach(self, file: Path) -> None:
        """Sends a file, such as the report; one of the same name takes the place of an earlier one.

        Args:
            file: its path.
        """

    def close(self, ending: Ending) -> None:
        """Marks the run as ended.

        Args:
            ending: how it ended.
        """

    def on_start(self, start: Start) -> None:
        """See `Callback.on_start`.

        Args:
            start: the run.
        """
        self._start, self._is_open, self._ending = start, False, None
        self._known = {}
        self._pending = [] if start.workdir is None else _history(start.workdir, start.step)
        self._deliver()

    def on_log(self, step: int, metrics: Mapping[str, float]) -> None:
        """See `Callback.on_log`.

        Args:
            step: steps done.
            metrics: those of training.
        """
        self._measured("train", step, metrics)

    def on_evaluation(self, step: int, metrics: Mapping[str, float]) -> None:
        """See `Callback.on_evaluation`.

        Args:
            step: steps done.
            metrics: those of the evaluation.
        """
        if self._start is not None:
            self._measured(self._start.run.split, step, metrics)

    def on_end(self, ending: Ending) -> None:
        """See `Callback.on_end`.

        Args:
            ending: how the start ended.
        """
        self._ending = ending
        self._deliver(at_once=True)
        if self._pending:
            again = (
                ""
                if self._start is None or self._start.workdir is None
                else ("; the same command sends them")
            )
            _logger.warning(
                "the metrics of %d steps were not sent to %s%s",
                *(len(self._pending), self.name, again),
            )

    def on_report(self, page: Path) -> None:
        """See `Callback.on_report`.

        Args:
            page: the report.
        """
        self._files = [*(file for file in self._files if file != page), page]
        self._deliver(at_once=self._ending is not None)

    def _measured(self, split: str, step: int, metrics: Mapping[str, float]) -> None:
        measured = Measured(split, step, time.time(), dict(metrics))
        if self._is_new(measured):
            self._pending.append(measured)
        self._deliver()

    def _is_new(self, measured: Measured) -> bool:
        """Returns whether the service lacks it: a run repeats the steps after its checkpoint."""
        return measured.step > self._known.get(measured.split, 0)

    def _deliver(self, at_once: bool = False) -> None:
        """Sends what is kept, unless a failure was not long enough ago."""
        began = time.monotonic()
        if began < self._paused_until and not at_once:
            return
        try:
            self._try_to_deliver()
        except Exception as error:
            took = time.monotonic() - began
            self._paused_until = began + took + max(PAUSE_SECONDS, PAUSE_FACTOR * took)
            _logger.log(
                logging.DEBUG if self._warned else logging.WARNING,
                "%s failed, and is tried again later; the training goes on: %s: %s",
                *(self.name, type(error).__name__, error),
            )
            self._warned = True

    def _try_to_deliver(self) -> None:
        if self._start is None:
            return
        if not self._is_open:
            self._known = self.open(self._start)
            self._pending = [each for each in self._pending if self._is_new(each)]
            self._is_open = True
        while self._pending:
            some = self._pending[:AT_ONCE]
            self.send(some)
            # Not before they are sent, and no more of them than were.
            del self._pending[: len(some)]
        while self._files:
            self.attach(self._files[0])
            del self._files[0]
        if self._ending is not None:
            self.close(self._ending)


def _history(workdir: Path, step: int) -> list[Measured]:
    """Returns what earlier starts have measured up to a step."""
    now = time.time()
    values = []
    for line in read_metrics(workdir):
        if line["step"] <= step:
            metrics = {k: v for k, v in line.items() if k not in ("step", "epoch", "split")}
            values.append(Measured(line["split"], line["step"], now, metrics))
    return values


MakeTracker = Callable[[], Callback]
"""What makes a tracker, without arguments: its settings are those of the service."""
