"""nn.DropPath: whole examples skip a branch; rates that grow with depth."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import nn

ONES = jnp.ones((4000, 2, 1, 3))


def _dropped(x, rate, seed=0) -> Any:
    layer = nn.DropPath(rate, deterministic=False)
    return layer.apply({}, x, rngs={"dropout": jax.random.key(seed)})


@pytest.mark.parametrize("rate", [0.1, 0.75])
def test_an_example_is_dropped_as_a_whole_with_the_rate_and_else_scaled(rate):
    y = np.asarray(_dropped(ONES, rate))
    each = y.reshape(4000, -1)
    assert np.all(each == each[:, :1])
    np.testing.assert_allclose(np.unique(each), [0, 1 / (1 - rate)], rtol=1e-6)
    # Five standard deviations of the share of 4,000 independent draws.
    share = np.mean(each[:, 0] == 0)
    assert abs(share - rate) < 5 * (rate * (1 - rate) / 4000) ** 0.5
    assert not np.array_equal(y, _dropped(ONES, rate, seed=1))


def test_dropped_examples_get_no_gradient_and_infinite_branches_become_zero():
    x = jnp.ones((16, 2))
    y = np.asarray(_dropped(x, 0.5))
    gradient = jax.grad(lambda x: jnp.sum(_dropped(x, 0.5)))(x)
    np.testing.assert_array_equal(gradient, y)
    assert set(np.unique(np.asarray(_dropped(jnp.inf * x, 0.5)))) == {0, np.inf}
    assert _dropped(x.astype(jnp.bfloat16), 0.5).dtype == jnp.bfloat16


def test_evaluation_and_a_rate_of_zero_draw_nothing():
    layer: Any = nn.DropPath(0.5)
    assert layer.apply({}, ONES, deterministic=True) is ONES
    assert nn.DropPath(0.0, deterministic=False).apply({}, ONES) is ONES
    wrong: Any
    for wrong in (1.0, -0.1, float("nan"), "0.5", None):
        with pytest.raises(ValueError, match="rate must be a number from 0 to less than 1, got"):
            nn.DropPath(wrong, deterministic=True).apply({}, ONES)


def test_rates_grow_linearly_to_the_last():
    assert nn.rates_by_depth(0.5, 5) == pytest.approx((0.1, 0.2, 0.3, 0.4, 0.5))
    assert nn.rates_by_depth(0.0, 2) == (0, 0)
    wrong: Any
    for wrong in ((1.0, 3), (-0.1, 3), ("0.5", 3)):
        with pytest.raises(ValueError, match="last must be from 0 to less than 1"):
            nn.rates_by_depth(*wrong)
    with pytest.raises(ValueError, match="blocks must be an int of at least 1, got 0"):
        nn.rates_by_depth(0.5, 0)
