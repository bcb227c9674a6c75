import math

import jax.numpy as jnp
import pytest
from cnnjax.training.loop.meter import STEPS_AHEAD, LossNotFinite, Meter

from cnnjax import training


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


@pytest.fixture(scope="module")
def plan():
    return training.make_plan(
        training.parse_config({"data": {"resize": 16, "batch_size": 64}, "epochs": 2})
    )


def sums(loss, rate=0.1):
    values = {"weight": 64.0, "loss": 64.0 * loss, "top1": 32.0, "top5": 64.0}
    return {name: jnp.float32(v) for name, v in values.items()} | {
        "learning_rate": jnp.float32(rate)
    }


def gathered(meter, losses):
    """Returns the intervals of steps 1, 2, ... with these losses, what is left included."""
    intervals = []
    for step, loss in enumerate(losses, 1):
        intervals += meter.add(step, sums(loss, rate=step / 10))
    return [*intervals, *meter.flush()]


def test_intervals_are_means_and_end_where_log_every_says(plan):
    intervals = gathered(Meter(plan, 3), [1.0, 2.0, 6.0, 4.0, 5.0])
    assert [interval.step for interval in intervals] == [3, 5]
    assert [interval.metrics["loss"] for interval in intervals] == [3.0, 4.5]
    assert intervals[0].metrics["accuracy"] == 0.5
    assert intervals[0].metrics["learning_rate"] == pytest.approx(0.3)
    assert all(interval.metrics["images_per_second"] > 0 for interval in intervals)


def test_a_resumed_run_keeps_to_the_same_ends(plan):
    meter = Meter(plan, 3)
    intervals = [i for step in (2, 3, 4, 5, 6) for i in meter.add(step, sums(1.0))]
    intervals += meter.flush()
    assert [interval.step for interval in intervals] == [3, 6]


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_the_first_loss_that_is_not_finite_is_named(plan, loss):
    with pytest.raises(LossNotFinite) as raised:
        gathered(Meter(plan, 4), [1.0, loss, loss, 1.0])
    assert raised.value.step == 2


def test_the_host_runs_ahead_of_the_device_but_not_without_end(plan):
    waited = []
    meter = Meter(plan, 100)
    for step in range(1, 21):
        late = {name: Late(float(step), waited) for name in sums(1.0)}
        assert list(meter.add(step, late)) == []
    assert set(waited) == set(range(1, 21 - STEPS_AHEAD))
