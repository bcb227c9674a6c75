from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from cnnjax import nn, patterns
from cnnjax.recipes.make_optimizer import make_optimizer
from cnnjax.recipes.schema import OptimizerConfig
from cnnjax.training.step.freezing import freeze

PARAMS = {"c1": {"kernel": jnp.array([1.0, -2.0]), "bias": jnp.array([0.5])}}
GRADIENTS = {"c1": {"kernel": jnp.array([0.3, 0.1]), "bias": jnp.array([-0.2])}}
KERNELS = ((".*/kernel", True), (".*", False))


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "rmsprop"])
def test_a_frozen_parameter_stays_without_state_or_decay(name):
    config = OptimizerConfig(name=name, weight_decay=0.1, gradient_clip=0.1)
    rule = freeze(make_optimizer(config, lambda step: 0.1, PARAMS), KERNELS, PARAMS)
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
    rule = freeze(optax.adabelief(0.1), KERNELS, PARAMS)
    updates: Any
    updates, _ = rule.update(GRADIENTS, rule.init(PARAMS), PARAMS)
    np.testing.assert_array_equal(updates["c1"]["kernel"], np.zeros(2))
    assert (updates["c1"]["bias"] != 0).all()


def test_the_loss_reaches_a_frozen_rules_plateau():
    plateau = optax.contrib.reduce_on_plateau(factor=0.5, patience=1)
    rule = freeze(optax.chain(optax.sgd(0.1), plateau), KERNELS, PARAMS)
    state = rule.init(PARAMS)
    sizes = []
    for _ in range(3):
        updates: Any
        updates, state = rule.update(GRADIENTS, state, PARAMS, value=jnp.float32(1.0))
        sizes.append(float(updates["c1"]["bias"][0]))
    np.testing.assert_allclose(sizes, [0.02, 0.01, 0.005], rtol=1e-6)


def test_no_rules_leave_the_optimizer_as_it_is():
    state = freeze(optax.sgd(0.1), (), PARAMS).init(PARAMS)
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
        freeze(optax.sgd(0.1), rules, PARAMS)
