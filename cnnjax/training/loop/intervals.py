"""Training metrics over intervals of steps, read from the device without making it wait."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import jax
import numpy as np

from cnnjax.tasks.base import Task
from cnnjax.training.loop.trainer import StepMetrics

STEPS_AHEAD = 8
"""Steps that may be under way at once: they hide the host's work between two steps."""


class LossNotFinite(Exception):
    """A step's loss is NaN or infinite.

    Attributes:
        step: the number of the step with that loss, counted from 1.
        loss: the loss.
    """

    def __init__(self, step: int, loss: float):
        super().__init__(f"the loss of step {step} is {loss}")
        self.step = step
        self.loss = loss


@dataclass(frozen=True)
class Interval:
    """The metrics of some steps in a row.

    Attributes:
        step: the last of them.
        metrics: the task's over them (none where no example of theirs could be read),
            `learning_rate` of the last where it is known,
            `images_per_second`, and, where examples are not on the device, `waiting_share`: the
            share of the time in which the host waited for them (the devices may have run steps
            meanwhile).
    """

    step: int
    metrics: dict[str, float]


class _InFlight(NamedTuple):
    step: int
    metrics: StepMetrics


class Intervals:
    """Collects the steps' metric sums, and reads them in intervals once the device has them.

    Nothing is fetched between two intervals. The host runs at most `STEPS_AHEAD` steps ahead, so
    that the device has a next step while an interval is read and written.

    Args:
        task: turns sums into metrics.
        batch_size: examples of a step.
        log_every: number of steps between the ends of two intervals.
        waited: returns how many seconds the steps have waited for their examples so far.
    """

    def __init__(
        self,
        task: Task,
        batch_size: int,
        log_every: int,
        waited: Callable[[], float] = lambda: 0.0,
    ):
        self._task = task
        self._batch_size = batch_size
        self._log_every = log_every
        self._waited = waited
        # Several processes have to stop at the same step: none may look which steps are done.
        self._polls = jax.process_count() == 1
        self._in_flight: deque[_InFlight] = deque()
        self._done: list[_InFlight] = []
        self.restart_clock()

    def restart_clock(self) -> None:
        """Excludes the time since the last step from the speed."""
        self._since, self._waited_since = time.perf_counter(), self._waited()

    def add(self, step: int, metrics: StepMetrics) -> Iterator[Interval]:
        """Takes the metrics of a step that was just started; yields finished intervals.

        Args:
            step: the number of the step, counted from 1.
            metrics: its metrics, which the device may still be computing.

        Yields:
            Each interval whose steps are done.

        Raises:
            LossNotFinite: a step of a finished interval had a loss that is not finite.
        """
        self._in_flight.append(_InFlight(step, metrics))
        while self._in_flight and (
            len(self._in_flight) > STEPS_AHEAD
            or (self._polls and _is_ready(self._in_flight[0].metrics))
        ):
            yield from self._land()

    def flush(self) -> Iterator[Interval]:
        """Waits for all steps and yields the rest, the last interval shorter than the others.

        Raises:
            LossNotFinite: a step had a loss that is not finite.
        """
        while self._in_flight:
            yield from self._land()
        if self._done:
            yield self._read()

    def _land(self) -> Iterator[Interval]:
        """Waits for the oldest step."""
        first = self._in_flight.popleft()
        jax.block_until_ready(first.metrics)
        self._done.append(first)
        if first.step % self._log_every == 0:
            yield self._read()

    def _read(self) -> Interval:
        seconds = time.perf_counter() - self._since
        waited = self._waited() - self._waited_since
        self.restart_clock()
        steps, self._done = self._done, []
        fetched: list[StepMetrics] = jax.device_get([metrics for _, metrics in steps])
        for (step, _), known in zip(steps, fetched, strict=True):
            if not np.isfinite(known.loss):
                raise LossNotFinite(step, float(known.loss))
        metrics: dict[str, float] = {}
        # Sums of no example are not metrics of 0.
        if any(known.counted > 0 for known in fetched):
            # Sums are added before they become metrics, so that every example weighs the same.
            # In float64, in which counts of pixels neither overflow nor lose digits.
            sums = jax.tree.map(
                lambda *values: sum(np.asarray(value, np.float64) for value in values),
                *(known.sums for known in fetched),
            )
            metrics = self._task.metrics(sums)
        if (rate := fetched[-1].learning_rate) is not None:
            metrics["learning_rate"] = float(rate)
        metrics["images_per_second"] = len(steps) * self._batch_size / seconds
        # Without waiting the examples are on the device, and there is no share to report.
        if waited:
            metrics["waiting_share"] = min(waited / seconds, 1.0)
        return Interval(steps[-1].step, metrics)


def _is_ready(metrics: StepMetrics) -> bool:
    return all(value.is_ready() for value in jax.tree.leaves(metrics))
