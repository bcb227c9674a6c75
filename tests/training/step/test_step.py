"""The step against gradients by finite differences and an update written out by hand."""

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from cnnjax import nn, training
from cnnjax.tasks import Classification, Moment
from cnnjax.training.step.state import create_state


class Linear(linen.Module):
    """One dense layer on the flattened image."""

    @linen.compact
    def __call__(self, x, train=False):
        return linen.Dense(3, param_dtype=jnp.float64, dtype=jnp.float64)(x.reshape(len(x), -1))


def test_a_step_moves_against_the_gradient_of_the_mean_loss():
    with jax.enable_x64(True):
        model, task = Linear(), Classification(("a", "b", "c"))
        rng = np.random.default_rng(0)
        batch = {
            "image": jnp.asarray(rng.normal(size=(4, 2, 2, 1))),
            "label": jnp.array([0, 2, 1, 0]),
            "weight": jnp.array([1.0, 1.0, 1.0, 0.0]),
        }
        optimizer = optax.sgd(0.1)
        variables = nn.init_network(model, jax.random.key(0), jnp.zeros((1, 2, 2, 1)))
        state = create_state(variables, optimizer)
        new, result = training.train_step(
            state, batch, jax.random.key(0), model=model, task=task, optimizer=optimizer
        )
        kernel = np.asarray(state.params["Dense_0"]["kernel"])
        bias = np.asarray(state.params["Dense_0"]["bias"])

        def loss(kernel):
            logits = np.asarray(batch["image"]).reshape(4, 4) @ kernel + bias
            logp = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
            return -(logp[0, 0] + logp[1, 2] + logp[2, 1]) / 3

        assert float(result.loss) == pytest.approx(loss(kernel), abs=1e-12)
        moved = np.asarray(new.params["Dense_0"]["kernel"])
        for position in np.ndindex(kernel.shape):
            nudge = np.zeros_like(kernel)
            nudge[position] = 1e-6
            slope = (loss(kernel + nudge) - loss(kernel - nudge)) / 2e-6
            np.testing.assert_allclose(
                moved[position], kernel[position] - 0.1 * slope, rtol=0, atol=1e-9
            )
        assert int(new.step) == 1
        assert float(result.sums["weight"]) == 3


def test_evaluation_changes_nothing_and_counts_weights():
    model, task = Linear(), Classification(("a", "b", "c"))
    with jax.enable_x64(True):
        variables = nn.init_network(model, jax.random.key(0), jnp.zeros((1, 2, 2, 1)))
        batch = {
            "image": jnp.ones((2, 2, 2, 1)),
            "label": jnp.array([0, 1]),
            "weight": jnp.array([1.0, 0.0]),
        }
        moment = Moment(jax.random.key(0), train=False, totals=task.totals(batch))
        before = jax.tree.map(np.array, variables)
        sums, rows = task.evaluate(model, variables, batch, moment)
        jax.tree.map(np.testing.assert_array_equal, variables, before)
        assert rows == {}
        assert float(sums["weight"]) == 1
