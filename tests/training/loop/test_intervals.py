import math

import jax
import jax.numpy as jnp
import pytest

from cnnjax.tasks import Classification
from cnnjax.training.loop.intervals import STEPS_AHEAD, Intervals, LossNotFinite
from cnnjax.training.loop.trainer import StepMetrics

TASK = Classification(("a", "b"))


class Late:
    """A number that the device is still at until it is asked for."""

    def __init__(self, value, log):
        self.value, self.log, self.ready = value, log, False

    def is_ready(self):
        return self.ready

    def block_until_ready(self):
        self.log.append(self.value)
        self.ready = True
        return self

    def __array__(self, dtype=None, copy=None):
        return jnp.asarray(self.value).__array__(dtype)


def metrics(loss, rate: float | None = 0.1):
    sums = {"weight": 64.0, "loss": 64.0 * loss, "top1": 32.0, "top5": 64.0}
    return StepMetrics(
        jnp.float32(loss),
        {name: jnp.float32(value) for name, value in sums.items()},
        None if rate is None else jnp.float32(rate),
    )


def every(steps):
    return Intervals(TASK, 64, steps)


def gathered(intervals, losses):
    """Returns the intervals of steps 1, 2, ... with these losses, what is left included."""
    found = []
    for step, loss in enumerate(losses, 1):
        found += intervals.add(step, metrics(loss, rate=step / 10))
    return [*found, *intervals.flush()]


def test_intervals_are_means_and_end_where_log_every_divides():
    intervals = gathered(every(3), [1.0, 2.0, 6.0, 4.0, 5.0])
    assert [interval.step for interval in intervals] == [3, 5]
    assert [interval.metrics["loss"] for interval in intervals] == [3.0, 4.5]
    assert intervals[0].metrics["accuracy"] == 0.5
    assert intervals[0].metrics["learning_rate"] == pytest.approx(0.3)
    assert all(interval.metrics["images_per_second"] > 0 for interval in intervals)


def test_a_resumed_run_keeps_to_the_same_ends():
    intervals = every(3)
    found = [i for step in (2, 3, 4, 5, 6) for i in intervals.add(step, metrics(1.0))]
    found += intervals.flush()
    assert [interval.step for interval in found] == [3, 6]


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_the_first_loss_that_is_not_finite_is_named(loss):
    with pytest.raises(LossNotFinite) as raised:
        gathered(every(4), [1.0, loss, loss, 1.0])
    assert raised.value.step == 2


def test_the_host_runs_ahead_of_the_device_but_not_without_end():
    waited = []
    intervals = every(100)
    for step in range(1, 21):
        late = jax.tree.map(lambda _, step=step: Late(float(step), waited), metrics(1.0))
        assert list(intervals.add(step, late)) == []
    assert set(waited) == set(range(1, 21 - STEPS_AHEAD))


def test_a_rate_that_nobody_knows_is_left_out():
    intervals = every(1)
    (found,) = [*intervals.add(1, metrics(1.0, rate=None)), *intervals.flush()]
    assert "learning_rate" not in found.metrics


def test_the_share_of_time_that_steps_waited_is_given_where_they_did():
    seconds = iter([0.0, 1e-9, 1e-9, 100.0, 100.0])
    intervals = Intervals(TASK, 64, 1, lambda: next(seconds))
    (first,) = [*intervals.add(1, metrics(1.0)), *intervals.flush()]
    (second,) = [*intervals.add(2, metrics(1.0)), *intervals.flush()]
    assert 0 < first.metrics["waiting_share"] < 0.1
    assert second.metrics["waiting_share"] == 1.0
    assert "waiting_share" not in gathered(every(2), [1.0, 2.0])[0].metrics
