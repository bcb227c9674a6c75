"""Steps in the half types: what they keep in float32, what they skip, and what scaling saves."""

from functools import cache
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from cnnjax import nn, training
from cnnjax.tasks import Classification
from cnnjax.training.step.loss_scaling import GROWTH_STEPS, INITIAL_SCALE, LossScale
from cnnjax.training.step.state import create_state

TASK = Classification(("a", "b", "c"))
RNG = np.random.default_rng(0)
BATCH = {
    "image": RNG.normal(size=(6, 2, 2, 1)).astype(np.float32),
    "label": RNG.integers(0, 3, 6).astype(np.int32),
    "weight": np.ones(6, np.float32),
}


class Small(linen.Module):
    """Dense, batch norm, dense, computed in a dtype."""

    dtype: Any = jnp.float32

    @linen.compact
    def __call__(self, x, train=False):
        x = linen.Dense(4, dtype=self.dtype)(x.reshape(len(x), -1))
        x = nn.BatchNorm(not train, dtype=self.dtype)(x)
        return linen.Dense(3, dtype=self.dtype)(x)


class Large(linen.Module):
    """Logits of images a thousand times as bright, in float16."""

    @linen.compact
    def __call__(self, x, train=False):
        small = linen.initializers.normal(1e-3)
        return linen.Dense(3, dtype=jnp.float16, kernel_init=small)(1000 * x.reshape(len(x), -1))


def step_of(model, loss_scaling, batch=BATCH):
    """Returns the states before and after a step, and its loss."""
    optimizer = optax.sgd(0.1, momentum=0.9)

    @jax.jit
    def run(batch):
        variables = nn.init_network(model, jax.random.key(0), jnp.zeros((1, 2, 2, 1)))
        state = create_state(variables, optimizer, ema=True, loss_scaling=loss_scaling)
        return state, training.train_step(
            state, batch, jax.random.key(0), model=model, task=TASK, optimizer=optimizer
        )

    state, (new, result) = run(batch)
    return state, new, result.loss


@cache
def step_in_float32():
    return step_of(Small(), False)


def test_the_scale_is_halved_by_a_bad_step_and_doubled_after_many_good_ones():
    after = jax.jit(LossScale.after)
    scale = LossScale.create()
    good, bad = jnp.bool_(True), jnp.bool_(False)
    scale = after(after(scale, good), bad)
    assert float(scale.scale) == INITIAL_SCALE / 2
    for _ in range(GROWTH_STEPS - 1):
        scale = after(scale, good)
    assert float(scale.scale) == INITIAL_SCALE / 2
    scale = after(scale, good)
    assert (float(scale.scale), int(scale.good_steps)) == (INITIAL_SCALE, 0)
    for _ in range(40):
        scale = after(scale, bad)
    assert float(scale.scale) == 1


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_a_step_in_a_half_type_is_that_of_float32_within_its_rounding(dtype):
    _, expected, loss = step_in_float32()
    before, found, half_loss = step_of(Small(dtype), dtype == jnp.float16)
    tolerance = 5 * float(jnp.finfo(dtype).eps)
    assert float(half_loss) == pytest.approx(float(loss), rel=tolerance)
    for kept in (found.params, found.collections, found.opt_state):
        assert {leaf.dtype for leaf in jax.tree.leaves(kept)} == {jnp.dtype(jnp.float32)}
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=tolerance), found.params, expected.params
    )
    assert not np.array_equal(found.params["Dense_0"]["kernel"], before.params["Dense_0"]["kernel"])


def test_a_step_that_overflows_changes_the_scale_and_the_step_number_alone():
    # A gradient of about a hundred, times the scale, is more than the 65,504 of float16.
    before, after, loss = step_of(Large(), True)
    assert np.isfinite(loss)
    assert int(after.step) == 1
    assert float(after.loss_scale.scale) == INITIAL_SCALE / 2
    for name in ("params", "collections", "opt_state", "ema"):
        jax.tree.map(np.testing.assert_array_equal, getattr(after, name), getattr(before, name))


class Bias(linen.Module):
    """Logits that do not depend on the image."""

    @linen.compact
    def __call__(self, x, train=False):
        start = lambda key, shape: jnp.array([18.0, 0.0, 0.0])  # noqa: E731
        bias = self.param("bias", start, (3,)).astype(jnp.float16)
        return jnp.broadcast_to(bias, (len(x), 3))


@pytest.mark.parametrize("scaled", [False, True])
def test_scaling_saves_gradients_that_float16_has_no_number_for(scaled):
    # exp(-18) = 1.5e-8 for each wrong class, a quarter of float16's smallest number.
    batch = BATCH | {"label": np.zeros(6, np.int32)}
    before, after, _ = step_of(Bias(), scaled, batch)
    moved = np.asarray(after.params["bias"] - before.params["bias"])
    if scaled:
        np.testing.assert_allclose(moved[1:], -0.1 * np.exp(-18), rtol=0.01)
    else:
        np.testing.assert_array_equal(moved[1:], 0)
