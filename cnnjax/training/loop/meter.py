"""Training metrics, read from the device without making it wait."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import jax
import numpy as np

from cnnjax.recipes.plan import Plan
from cnnjax.tasks.classification import Sums

STEPS_AHEAD = 8
"""Steps that may be on their way at once: they hide what the host does between two steps."""


class LossNotFinite(Exception):
    """A step's loss is NaN or infinite.

    Attributes:
        step: the number of steps done when it was: the loss is that of step `step`.
        loss: the value.
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
        metrics: means over them, `learning_rate` of the last, `images_per_second`, and, where
            images are not on the device, `waiting_share`: the share of the time in which the host
            waited for them (the devices may have had steps on their way meanwhile).
    """

    step: int
    metrics: dict[str, float]


class _InFlight(NamedTuple):
    step: int
    sums: Sums


class Meter:
    """Gathers the steps' metric sums, and reads them in intervals once the device is past them.

    Nothing is fetched between two intervals. The host runs at most `STEPS_AHEAD` steps ahead, so
    that the device finds its next step waiting while an interval is read and written.

    Args:
        plan: the run.
        log_every: an interval ends at every step that this divides.
        waited: returns how many seconds the steps have waited for their images so far.
    """

    def __init__(self, plan: Plan, log_every: int, waited: Callable[[], float] = lambda: 0.0):
        self._plan = plan
        self._log_every = log_every
        self._waited = waited
        # Several processes have to find the same step at fault after having sent off as many.
        self._polls = jax.process_count() == 1
        self._in_flight: deque[_InFlight] = deque()
        self._done: list[_InFlight] = []
        self.restart_clock()

    def restart_clock(self) -> None:
        """Leaves out of the speed what happened since the last step."""
        self._since, self._waited_since = time.perf_counter(), self._waited()

    def add(self, step: int, sums: Sums) -> Iterator[Interval]:
        """Takes the sums of a step that was just sent off; yields intervals that are over.

        Raises:
            LossNotFinite: a step of an interval that is over had a loss that is not.
        """
        self._in_flight.append(_InFlight(step, sums))
        while self._in_flight and (
            len(self._in_flight) > STEPS_AHEAD
            or (self._polls and _is_ready(self._in_flight[0].sums))
        ):
            yield from self._land()

    def flush(self) -> Iterator[Interval]:
        """Waits for all steps, and yields what is left, as an interval cut short at its end.

        Raises:
            LossNotFinite: a step had a loss that is not.
        """
        while self._in_flight:
            yield from self._land()
        if self._done:
            yield self._read()

    def _land(self) -> Iterator[Interval]:
        """Waits for the oldest step."""
        first = self._in_flight.popleft()
        jax.block_until_ready(first.sums)
        self._done.append(first)
        if first.step % self._log_every == 0:
            yield self._read()

    def _read(self) -> Interval:
        seconds = time.perf_counter() - self._since
        waited = self._waited() - self._waited_since
        self.restart_clock()
        steps, self._done = self._done, []
        fetched: list[Sums] = jax.device_get([sums for _, sums in steps])
        for (step, _), sums in zip(steps, fetched, strict=True):
            if not np.isfinite(sums["loss"]):
                weight = max(float(sums["weight"]), 1)
                raise LossNotFinite(step, float(sums["loss"]) / weight)
        rate = [sums.pop("learning_rate") for sums in fetched][-1]
        metrics = self._plan.task.metrics(jax.tree.map(lambda *values: sum(values), *fetched))
        last = steps[-1].step
        images = len(steps) * self._plan.config.data.batch_size
        metrics |= {"learning_rate": float(rate), "images_per_second": images / seconds}
        if waited:
            metrics["waiting_share"] = min(waited / seconds, 1.0)
        return Interval(last, metrics)


def _is_ready(sums: Sums) -> bool:
    return all(value.is_ready() for value in jax.tree.leaves(sums))
