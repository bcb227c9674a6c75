from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from cnnjax import nn, patterns
from cnnjax.recipes.make_optimizer import make_optimizer
from cnnjax.recipes.schema import OptimizerConfig
from cnnjax.training.step.freezing import Freezing
from cnnjax.training.step.rate import current_rate

PARAMS = {"c1": {"kernel": jnp.array([1.0, -2.0]), "bias": jnp.array([0.5])}}
GRADIENTS = {"c1": {"kernel": jnp.array([0.3, 0.1]), "bias": jnp.array([-0.2])}}
KERNELS = ((".*/kernel", True), (".*", False))


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "rmsprop"])
def test_a_frozen_parameter_stays_without_state_or_decay(name):
    config = OptimizerConfig(name=name, weight_decay=0.1, gradient_clip=0.1)
    rule = Freezing(KERNELS).wrap(make_optimizer(config, lambda step: 0.1, PARAMS), PARAMS)
    state = rule.init(PARAMS)
    for _ in range(2):
        updates: Any
        updates, state = rule.update(GRADIENTS, state, PARAMS)
        np.testing.assert_array_equal(updates["c1"]["kernel"], np.zeros(2))
        assert (updates["c1"]["bias"] != 0).all()
        if name == "sgd":  # in proportion to the gradient, whose norm is the bias's alone
            np.testing.assert_allclose(updates["c1"]["bias"], [0.01], rtol=1e-6)
            name = ""
    assert {leaf.shape for leaf in jax.tree.leaves(state)} <= {(), (1,)}


def test_an_optimizer_of_ones_own_is_frozen_as_well():
    rule = Freezing(KERNELS).wrap(optax.adabelief(0.1), PARAMS)
    updates: Any
    updates, _ = rule.update(GRADIENTS, rule.init(PARAMS), PARAMS)
    np.testing.assert_array_equal(updates["c1"]["kernel"], np.zeros(2))
    assert (updates["c1"]["bias"] != 0).all()


def test_the_loss_reaches_a_frozen_rules_plateau():
    plateau = optax.contrib.reduce_on_plateau(factor=0.5, patience=1)
    rule = Freezing(KERNELS).wrap(optax.chain(optax.sgd(0.1), plateau), PARAMS)
    state = rule.init(PARAMS)
    sizes = []
    for _ in range(3):
        updates: Any
        updates, state = rule.update(GRADIENTS, state, PARAMS, value=jnp.float32(1.0))
        sizes.append(float(updates["c1"]["bias"][0]))
    np.testing.assert_allclose(sizes, [0.02, 0.01, 0.005], rtol=1e-6)


BIAS_FIRST = (("c1/bias", 0), (".*", 2))
"""The kernel is trained from epoch 2 on."""


def follow(optimizer, epochs=(0, 2), steps=2):
    """Returns the updates and states of some steps in each of some epochs."""
    found, state = [], Freezing((), BIAS_FIRST).wrap(optimizer, PARAMS).init(PARAMS)
    for epoch in epochs:
        rule = Freezing((), BIAS_FIRST).wrap(optimizer, PARAMS, epoch)
        for _ in range(steps):
            updates, state = rule.update(GRADIENTS, state, PARAMS, value=jnp.float32(1.0))
            found.append((updates, state))
    return found


RATES = jnp.array([0.5, 0.1, 0.02, 0.004])


@pytest.mark.parametrize(
    "optimizer",
    [
        optax.adam(lambda step: RATES[step], eps=0.0),
        optax.inject_hyperparams(optax.adam)(lambda step: RATES[step], eps=0.0),
    ],
    ids=["schedule", "injected"],
)
def test_moments_start_when_a_parameter_is_unfrozen_and_schedules_with_the_run(optimizer):
    """Adam's first step is the rate, against the sign of the gradient."""
    found = follow(optimizer)
    for step, rate in ((0, 0.0), (1, 0.0), (2, 0.02)):
        kernel = found[step][0]["c1"]["kernel"]
        np.testing.assert_allclose(kernel, -rate * np.sign([0.3, 0.1]), rtol=1e-5)
    np.testing.assert_allclose(found[0][0]["c1"]["bias"], [0.5], rtol=1e-5)


def test_the_norm_that_clips_is_that_of_the_parameters_unfrozen_together():
    found = follow(optax.chain(optax.clip_by_global_norm(0.1), optax.sgd(1.0)))
    kernel = found[2][0]["c1"]["kernel"]
    np.testing.assert_allclose(kernel, -0.1 * np.array([0.3, 0.1]) / np.hypot(0.3, 0.1), rtol=1e-6)
    np.testing.assert_allclose(found[2][0]["c1"]["bias"], [0.1], rtol=1e-6)


def test_all_groups_have_the_plateau_of_the_run_and_its_rate_counts_once():
    plateau = optax.contrib.reduce_on_plateau(factor=0.5, patience=1)
    found = follow(optax.chain(optax.sgd(1.0), plateau))
    factors = [1.0, 0.5, 0.25, 0.125]  # the loss never falls
    for (updates, state), factor in zip(found, factors, strict=True):
        np.testing.assert_allclose(updates["c1"]["bias"], [0.2 * factor], rtol=1e-6)
        assert float(current_rate(lambda step: 1.0, 0, state)) == factor
    np.testing.assert_allclose(found[3][0]["c1"]["kernel"], [-0.0375, -0.0125], rtol=1e-6)


def test_the_state_has_one_structure_in_all_epochs():
    states = [state for _, state in follow(optax.adamw(0.1))]
    assert len({jax.tree.structure(state) for state in states}) == 1


def test_what_is_frozen_for_good_is_not_unfrozen():
    freezing = Freezing(KERNELS, ((".*", 0),))
    assert freezing.frozen(PARAMS, 7) == {"c1": {"kernel": True, "bias": False}}


def test_a_phase_is_named_by_its_first_epoch():
    freezing = Freezing((), (("a", 0), ("b", 5), ("c", 2)))
    assert [freezing.phase(epoch) for epoch in range(7)] == [0, 0, 2, 2, 2, 5, 5]


def test_no_rules_leave_the_optimizer_as_it_is():
    state = Freezing(()).wrap(optax.sgd(0.1), PARAMS).init(PARAMS)
    assert jax.tree.structure(state) == jax.tree.structure(optax.sgd(0.1).init(PARAMS))


def test_batch_norms_are_frozen_whose_every_parameter_is():
    params = {
        "stem": {"conv": {"kernel": 0}, "norm": {"scale": 0, "bias": 0}},
        "block": {"norm": {"scale": 0, "bias": 0}, "out": {"kernel": 0, "bias": 0}},
        "head": {"norm": {"scale": 0, "bias": 0}, "out": {"kernel": 0}},
    }
    statistics = {name: {"norm": {"mean": 0, "var": 0}} for name in params}
    variables = {"params": params, "batch_stats": statistics}
    rules = (("stem/.*|block/norm/.*|head/norm/scale", True), (".*", False))
    assert set(nn.frozen_norms(variables, patterns.match(rules, params))) == {
        "stem/norm", "block/norm"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ((("c1/kernel", True),), r"frozen: parameters c1/bias match none"),
        (((".*", True),), "frozen: every parameter is frozen; leave some to train"),
        (
            (("c9/.*", True), (".*", False)),
            r"frozen: the patterns 'c9/\.\*' give no parameter its value",
        ),
    ],
)
def test_rules_that_cannot_be_meant_are_refused(rules, message):
    with pytest.raises(ValueError, match=message):
        Freezing(rules).wrap(optax.sgd(0.1), PARAMS)
