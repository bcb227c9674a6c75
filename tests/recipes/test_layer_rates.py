"""Layer-wise decay of the learning rate, from one number."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import recipes, training
from cnnjax.recipes.layer_rates import decayed_rates
from tests.helpers.tiny_run import TINY


def test_the_last_part_has_the_whole_rate_and_each_before_a_share():
    rates = decayed_rates([["a", "e"], ["b.c"], ["d"]], 0.5)
    expected = [("a(/.*)?", 0.25), ("e(/.*)?", 0.25), (r"b\.c(/.*)?", 0.5), ("d(/.*)?", 1.0)]
    assert list(rates) == expected


def test_a_step_moves_each_layer_by_its_share(data_dir):
    def update(**changes):
        # Without momentum or decay a step is the gradient times the rate.
        section = {"name": "sgd", "momentum": 0.0, "learning_rate": 1.0, **changes}
        run = recipes.make_run({**TINY, "optimizer": section}, data_dir=data_dir)
        params = run.init_state().params
        rule = run.make_optimizer(params)
        gradient = jax.tree.map(jnp.ones_like, params)
        return rule.update(gradient, rule.init(params), params, value=jnp.float32(0))[0]

    plain: Any = update()
    decayed: Any = update(layer_decay=0.5)
    names = ["c1", "c3", "c5", "f6", "classifier"]
    for place, name in enumerate(names):
        expected = np.asarray(plain[name]["kernel"]) * 0.5 ** (len(names) - 1 - place)
        np.testing.assert_allclose(decayed[name]["kernel"], expected, rtol=1e-6)


def test_factors_of_ones_own_and_a_decay_are_refused_together(data_dir):
    section = {"layer_decay": 0.5, "rates": [[".*", 1.0]]}
    with pytest.raises(training.ConfigError, match=r"optimizer\.layer_decay: optimizer\.rates"):
        recipes.make_run({**TINY, "optimizer": section}, data_dir=data_dir)
