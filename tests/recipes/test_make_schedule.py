from typing import Any

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from cnnjax.recipes.make_optimizer import make_optimizer
from cnnjax.recipes.make_schedule import make_plateau, make_schedule
from cnnjax.recipes.schema import OptimizerConfig, ScheduleConfig
from cnnjax.training.step.rate import current_rate


def test_cosine_schedule_meets_its_closed_form():
    config = ScheduleConfig(name="cosine", warmup_epochs=1, final_factor=0.1)
    schedule: Any = make_schedule(config, 2.0, total_steps=110, epoch_steps=10)
    # Ten rising steps, then half a cosine over a hundred steps, then the last value.
    assert float(schedule(0)) == pytest.approx(0.2)
    assert float(schedule(5)) == pytest.approx(1.1)
    assert float(schedule(10)) == pytest.approx(2.0)
    assert float(schedule(60)) == pytest.approx(2.0 * (0.1 + 0.9 * 0.5))
    assert float(schedule(110)) == float(schedule(500)) == pytest.approx(0.2)


def test_constant_schedule_stays():
    schedule: Any = make_schedule(ScheduleConfig(), 0.3, total_steps=10, epoch_steps=5)
    assert float(schedule(0)) == float(schedule(9)) == pytest.approx(0.3)


def test_a_warm_up_longer_than_the_run_is_refused():
    with pytest.raises(ValueError, match=r"3.0 epochs are 30 steps, the whole run has 20"):
        make_schedule(ScheduleConfig(warmup_epochs=3), 0.1, total_steps=20, epoch_steps=10)


def test_step_schedule_is_multiplied_at_each_boundary():
    config = ScheduleConfig(name="step", warmup_epochs=1, boundaries=(2, 3.5), factor=0.2)
    schedule: Any = make_schedule(config, 1.0, total_steps=50, epoch_steps=10)
    rates = [float(schedule(step)) for step in (0, 9, 10, 19, 20, 34, 35, 49)]
    assert rates == pytest.approx([0.1, 0.91, 1.0, 1.0, 0.2, 0.2, 0.04, 0.04])


@pytest.mark.parametrize("boundaries", [(3, 2), (0,), (6,)])
def test_boundaries_that_do_not_rise_within_the_run_are_refused(boundaries):
    config = ScheduleConfig(name="step", boundaries=boundaries)
    with pytest.raises(ValueError, match=r"schedule\.boundaries: epochs .* must rise"):
        make_schedule(config, 1.0, total_steps=50, epoch_steps=10)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "step"}, "the step schedule has none"),
        ({"boundaries": (1,)}, "with the schedule constant; it belongs to step"),
        ({"name": "step", "boundaries": (1,), "final_factor": 0.1}, "it belongs to cosine"),
    ],
)
def test_keys_of_another_schedule_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        make_schedule(ScheduleConfig(**settings), 1.0, total_steps=50, epoch_steps=10)


def test_exponential_schedule_meets_its_closed_form():
    config = ScheduleConfig(name="exponential", warmup_epochs=1, factor=0.5)
    schedule: Any = make_schedule(config, 2.0, total_steps=50, epoch_steps=10)
    rates = [float(schedule(step)) for step in (9, 10, 15, 20, 40)]
    assert rates == pytest.approx([0.2 + 1.8 * 0.9, 2.0, 2 * 0.5**0.5, 1.0, 0.25])
    options = {"decay_epochs": 2, "staircase": True}
    config = ScheduleConfig(name="exponential", factor=0.94, options=options, final_factor=0.9)
    schedule: Any = make_schedule(config, 1.0, total_steps=90, epoch_steps=10)
    rates = [float(schedule(step)) for step in (0, 19, 20, 39, 40, 80)]
    assert rates == pytest.approx([1, 1, 0.94, 0.94, 0.9, 0.9])


def test_polynomial_schedule_meets_its_closed_form():
    config = ScheduleConfig(
        name="polynomial", warmup_epochs=1, final_factor=0.1, options={"power": 2.0}
    )
    schedule: Any = make_schedule(config, 1.0, total_steps=50, epoch_steps=10)
    rates = [float(schedule(step)) for step in (10, 20, 50, 70)]
    assert rates == pytest.approx([1.0, 0.9 * 0.75**2 + 0.1, 0.1, 0.1])


def test_one_cycle_rises_and_falls():
    config = ScheduleConfig(name="onecycle", options={"pct_start": 0.4})
    schedule: Any = make_schedule(config, 1.0, total_steps=100, epoch_steps=10)
    rates = [float(schedule(step)) for step in (0, 20, 40, 100)]
    # Half cosines from 1/25 to 1, and from there to 1/25/10,000.
    assert rates == pytest.approx([0.04, (1 + 0.04) / 2, 1.0, 0.04 / 1e4])


@pytest.mark.parametrize("name", ["constant", "plateau", "cosine", "polynomial", "step"])
def test_every_schedule_warms_up(name):
    settings: dict[str, Any] = {"boundaries": (3,)} if name == "step" else {}
    config = ScheduleConfig(name=name, warmup_epochs=2, **settings)
    schedule: Any = make_schedule(config, 1.0, total_steps=50, epoch_steps=10)
    assert [float(schedule(step)) for step in (0, 19, 20)] == pytest.approx(
        [0.05, 0.05 + 0.95 * 19 / 20, 1.0]
    )


def test_a_schedule_of_ones_own_is_given_by_its_path():
    name = "tests.recipes.rules:inverse_root"
    config = ScheduleConfig(name=name, options={"power": 1.0}, final_factor=0.5, warmup_epochs=1)
    schedule: Any = make_schedule(config, 2.0, total_steps=50, epoch_steps=10)
    assert float(schedule(10)) == pytest.approx(3.0)
    assert float(schedule(20)) == pytest.approx(2.0 * (1 / 2 + 0.5))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "cosine", "options": {"exponnt": 2}}, r"no exponnt; did you mean exponent\?"),
        ({"name": "cosine", "options": {"final_factor": 0.1}}, r"set schedule\.final_factor"),
        ({"name": "exponential"}, r"schedule\.factor: exponential needs it"),
        ({"name": "exponential", "factor": 0.5, "options": {"staircse": True}}, "mean staircase"),
        ({"name": "cosine", "factor": 0.5}, "it belongs to exponential, plateau, step"),
        ({"name": "tests.recipes.rules:no_schedule"}, "must return a function of the step"),
        ({"name": "tests.recipes.rules:no_schedul"}, "did you mean no_schedule"),
    ],
)
def test_what_no_schedule_takes_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        make_schedule(ScheduleConfig(**settings), 1.0, total_steps=50, epoch_steps=10)


def test_plateau_lowers_the_rate_after_epochs_without_a_lower_mean_loss():
    config = ScheduleConfig(name="plateau", factor=0.5, patience=2)
    schedule: Any = make_schedule(config, 0.4, total_steps=100, epoch_steps=2)
    rule = make_optimizer(
        OptimizerConfig(momentum=0.0), schedule, jnp.ones(1), make_plateau(config, 2)
    )
    state = rule.init(jnp.ones(1))
    updates, rates = [], []
    # Epoch means 3, 2, 2.5, 2, 1.9, 5, 5: only the second and the fifth are lower than all before.
    for step, loss in enumerate([2, 4, 2, 2, 1, 4, 3, 1, 1.9, 1.9, 5, 5, 5, 5]):
        update: Any
        update, state = rule.update(jnp.ones(1), state, jnp.ones(1), value=jnp.float32(loss))
        updates.append(-float(update[0]))
        rates.append(float(current_rate(schedule, step, state)))
    # Two epochs without improvement end with steps 8 and 14, whose update already has the factor.
    expected = [0.4] * 7 + [0.2] * 6 + [0.1]
    np.testing.assert_allclose(updates, expected, rtol=1e-6)
    np.testing.assert_allclose(rates, expected, rtol=1e-6)


def test_the_rate_without_a_plateau_is_the_schedules():
    # A batch norm's "scale" among the averages is not the plateau's.
    params = {"bn": {"scale": jnp.full(3, 7.0)}}
    state = optax.sgd(0.1, momentum=0.9).init(params)
    assert float(current_rate(lambda step: 0.1 * step, 3, state)) == pytest.approx(0.3)


def test_one_cycle_needs_steps_to_fall():
    config = ScheduleConfig(name="onecycle", options={"pct_start": 1.0})
    with pytest.raises(ValueError, match=r"pct_start 1.0 of 100 steps leaves 0 steps to fall"):
        make_schedule(config, 1.0, total_steps=100, epoch_steps=10)
