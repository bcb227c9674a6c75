"""Interleaved timing: every round runs each contestant once, so that a noisy machine hits all."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping

import numpy as np

SETTLE = 0.005
"""Seconds of rest before each turn."""

WARM = 0.1
"""Seconds: a contestant that takes less has an untimed run just before each timed one."""


@dataclasses.dataclass(frozen=True)
class Times:
    """Seconds per round of each contestant, in the order of the rounds."""

    rounds: dict[str, np.ndarray]

    def median(self, name: str) -> float:
        """Returns the median time in seconds.

        Args:
            name: of the contestant.
        """
        return float(np.median(self.rounds[name]))

    def ratio(self, base: str, name: str) -> float:
        """Returns how many times longer `base` takes: the ratio of the medians.

        Args:
            base: the contestant in the numerator.
            name: the contestant in the denominator.
        """
        return self.median(base) / self.median(name)

    def ratio_bounds(self, base: str, name: str) -> tuple[float, float]:
        """Returns the 95 % bounds of the ratio, by resampling the rounds 1,000 times.

        Args:
            base: the contestant in the numerator.
            name: the contestant in the denominator.
        """
        rng = np.random.default_rng(0)
        # The same rounds of both: a disturbance of a round is in both times.
        picks = rng.integers(0, len(self.rounds[base]), (1000, len(self.rounds[base])))
        ratios = np.median(self.rounds[base][picks], 1) / np.median(self.rounds[name][picks], 1)
        low, high = np.percentile(ratios, [2.5, 97.5])
        return float(low), float(high)


def interleaved(
    contestants: Mapping[str, Callable[[], object]],
    repeats: int,
    seconds: float = float("inf"),
) -> Times:
    """Times the contestants in turn, in a new order each round.

    Threads that wait for their next task may go on spinning for a while (OpenMP's do): what ran
    before must not slow down what runs next, so the order changes and each turn waits a little.
    After a rest threads may wake late: short runs are timed the second time in a row.

    Args:
        contestants: functions that return when their work is done.
        repeats: rounds.
        seconds: after this long, at least 5 rounds are enough.

    Returns:
        The times of each round; one untimed round comes first.
    """
    last = {}
    for name, run in contestants.items():
        start = time.perf_counter()
        run()
        last[name] = time.perf_counter() - start
    rounds: dict[str, list[float]] = {name: [] for name in contestants}
    rng = np.random.default_rng(0)
    first = time.perf_counter()
    for count in range(repeats):
        if count >= 5 and time.perf_counter() - first > seconds:
            break
        for name in rng.permutation(list(contestants)):
            time.sleep(SETTLE)
            if last[name] < WARM:
                contestants[name]()
            start = time.perf_counter()
            contestants[name]()
            last[name] = time.perf_counter() - start
            rounds[name].append(last[name])
    return Times({name: np.array(values) for name, values in rounds.items()})


def geometric_mean(values: list[float]) -> float:
    """Returns the geometric mean, or nan of nothing.

    Args:
        values: positive numbers.
    """
    return float(np.exp(np.mean(np.log(values)))) if values else float("nan")
