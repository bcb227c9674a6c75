from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax.recipes.make_optimizer import make_optimizer
from cnnjax.recipes.schema import OptimizerConfig

PARAMS = {"c1": {"kernel": jnp.array([1.0, -2.0]), "bias": jnp.array([0.5])}}
GRADIENTS = {"c1": {"kernel": jnp.array([0.3, 0.1]), "bias": jnp.array([-0.2])}}


def two_updates(config):
    """Returns both updates of the kernel and of the bias at a learning rate of 0.1."""
    rule = make_optimizer(config, lambda step: 0.1, PARAMS)
    state = rule.init(PARAMS)
    first: Any
    second: Any
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


def test_rmsprop_follows_its_equations():
    config = OptimizerConfig(name="rmsprop", momentum=0.9, beta2=0.8, epsilon=0.01)
    _, bias, _, bias2 = two_updates(config)
    mean_square = 0.2 * 0.2**2
    step = 0.1 * 0.2 / np.sqrt(mean_square + 0.01)
    np.testing.assert_allclose(bias, [step], rtol=1e-6)
    mean_square = 0.8 * mean_square + 0.2 * 0.2**2
    step2 = 0.1 * 0.2 / np.sqrt(mean_square + 0.01)
    np.testing.assert_allclose(bias2, [0.9 * step + step2], rtol=1e-6)


def test_clipping_bounds_the_norm_over_all_parameters():
    norm = np.sqrt(0.3**2 + 0.1**2 + 0.2**2)
    clipped = two_updates(OptimizerConfig(momentum=0.0, gradient_clip=0.1))
    plain = two_updates(OptimizerConfig(momentum=0.0))
    for small, large in zip(clipped, plain, strict=True):
        np.testing.assert_allclose(small, large * 0.1 / norm, rtol=1e-6)
    loose = two_updates(OptimizerConfig(momentum=0.0, gradient_clip=0.5))
    np.testing.assert_allclose(loose[0], plain[0], rtol=1e-6)


def test_decay_does_not_count_in_the_norm_that_is_clipped():
    config = OptimizerConfig(momentum=0.0, gradient_clip=10.0, weight_decay=100.0)
    np.testing.assert_allclose(
        two_updates(config)[0], -0.1 * (np.array([0.3, 0.1]) + 100 * np.array([1, -2])), rtol=1e-6
    )


def test_rules_choose_what_decays():
    config = OptimizerConfig(
        momentum=0.0, weight_decay=0.5, decay=((".*/bias", True), (".*", False))
    )
    kernel, bias, _, _ = two_updates(config)
    np.testing.assert_allclose(kernel, [-0.03, -0.01], rtol=1e-6)
    np.testing.assert_allclose(bias, [-0.1 * (-0.2 + 0.5 * 0.5)], rtol=1e-6)


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "rmsprop"])
def test_rules_scale_the_rate(name):
    rules = (("c1/kernel", 1.0), (".*", 0.1))
    plain = two_updates(OptimizerConfig(name=name, weight_decay=0.1))
    scaled = two_updates(OptimizerConfig(name=name, weight_decay=0.1, rates=rules))
    for number, factor in enumerate((1.0, 0.1, 1.0, 0.1)):
        np.testing.assert_allclose(scaled[number], factor * plain[number], rtol=1e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"rates": (("c2/.*", 2.0), (".*", 1.0))},
            r"optimizer\.rates: the patterns 'c2/\.\*' give",
        ),
        ({"decay": (("(", True),)}, r"optimizer\.decay: pattern '\(' is not a regular expression"),
        ({"beta2": 0.9}, r"optimizer\.beta2: 0\.9 was given with sgd, which has none"),
    ],
)
def test_rules_that_match_nothing_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        make_optimizer(OptimizerConfig(**settings), lambda step: 0.1, PARAMS)
