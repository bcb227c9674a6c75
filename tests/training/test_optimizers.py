import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax.training.optimizers import make_optimizer, make_schedule
from cnnjax.training.schema import OptimizerConfig, ScheduleConfig

PARAMS = {"c1": {"kernel": jnp.array([1.0, -2.0]), "bias": jnp.array([0.5])}}
GRADIENTS = {"c1": {"kernel": jnp.array([0.3, 0.1]), "bias": jnp.array([-0.2])}}


def two_updates(config):
    """Returns both updates of the kernel and of the bias at a learning rate of 0.1."""
    rule = make_optimizer(config, lambda step: 0.1, PARAMS)
    state = rule.init(PARAMS)
    first, state = rule.update(GRADIENTS, state, PARAMS)
    second, _ = rule.update(GRADIENTS, state, PARAMS)
    return [np.asarray(u["c1"][name]) for u in (first, second) for name in ("kernel", "bias")]


def test_sgd_with_momentum_and_decay_follows_its_equations():
    config = OptimizerConfig(name="sgd", momentum=0.9, weight_decay=0.01)
    kernel, bias, kernel2, bias2 = two_updates(config)
    gradient = np.array([0.3, 0.1]) + 0.01 * np.array([1.0, -2.0])
    np.testing.assert_allclose(kernel, -0.1 * gradient, rtol=1e-6)
    np.testing.assert_allclose(kernel2, -0.1 * (1 + 0.9) * gradient, rtol=1e-6)
    # The bias does not decay.
    np.testing.assert_allclose(bias, [0.02], rtol=1e-6)
    np.testing.assert_allclose(bias2, [0.02 * 1.9], rtol=1e-6)


def test_nesterov_looks_one_step_ahead():
    config = OptimizerConfig(name="sgd", momentum=0.9, nesterov=True)
    _, bias, _, bias2 = two_updates(config)
    np.testing.assert_allclose(bias, [0.02 * 1.9], rtol=1e-6)
    np.testing.assert_allclose(bias2, [0.02 * (1 + 0.9 * 1.9)], rtol=1e-6)


def test_adam_steps_by_the_learning_rate_at_first():
    _, bias, _, _ = two_updates(OptimizerConfig(name="adam"))
    np.testing.assert_allclose(bias, [0.1], rtol=1e-4)


def test_adamw_decays_apart_from_the_gradient():
    plain = two_updates(OptimizerConfig(name="adamw"))
    decayed = two_updates(OptimizerConfig(name="adamw", weight_decay=0.5))
    np.testing.assert_allclose(decayed[0] - plain[0], -0.1 * 0.5 * np.array([1.0, -2.0]), rtol=1e-5)
    np.testing.assert_array_equal(decayed[1], plain[1])


def test_cosine_schedule_meets_its_closed_form():
    config = ScheduleConfig(name="cosine", warmup_epochs=1, final_factor=0.1)
    schedule = make_schedule(config, 2.0, total_steps=110, epoch_steps=10)
    # Ten rising steps, then half a cosine over a hundred steps, then the last value.
    assert float(schedule(0)) == pytest.approx(0.2)
    assert float(schedule(5)) == pytest.approx(1.1)
    assert float(schedule(10)) == pytest.approx(2.0)
    assert float(schedule(60)) == pytest.approx(2.0 * (0.1 + 0.9 * 0.5))
    assert float(schedule(110)) == float(schedule(500)) == pytest.approx(0.2)


def test_constant_schedule_stays():
    schedule = make_schedule(ScheduleConfig(), 0.3, total_steps=10, epoch_steps=5)
    assert float(schedule(0)) == float(schedule(9)) == pytest.approx(0.3)


def test_a_warm_up_longer_than_the_run_is_refused():
    with pytest.raises(ValueError, match=r"3.0 epochs are 30 steps, the whole run has 20"):
        make_schedule(ScheduleConfig(warmup_epochs=3), 0.1, total_steps=20, epoch_steps=10)
