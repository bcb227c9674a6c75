"""The reversed gradient: minus lambda times what finite differences give without it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import ops

WEIGHTS = np.random.default_rng(0).normal(size=(4, 3))
X = np.random.default_rng(1).normal(size=(5, 4))


def loss(x, strength):
    return jnp.sum(jnp.tanh(ops.reverse_gradient(x, strength) @ WEIGHTS) ** 2)


def finite_differences(x, step=1e-6):
    """Central differences of the same loss in NumPy, without the reversal."""

    def plain(x):
        return np.sum(np.tanh(x @ WEIGHTS) ** 2)

    found = np.zeros_like(x)
    for place in np.ndindex(*x.shape):
        moved = np.zeros_like(x)
        moved[place] = step
        found[place] = (plain(x + moved) - plain(x - moved)) / (2 * step)
    return found


@pytest.mark.parametrize("strength", [0.0, 0.3, 1.0, -2.0])
def test_the_gradient_is_minus_the_strength_times_finite_differences(strength):
    with jax.enable_x64(True):
        x = jnp.asarray(X)
        np.testing.assert_array_equal(ops.reverse_gradient(x, strength), X)
        found = jax.grad(loss)(x, strength)
    np.testing.assert_allclose(found, -strength * finite_differences(X), atol=1e-8)


def test_what_follows_learns_as_usual():
    x, weights = jnp.asarray(X, jnp.float32), jnp.asarray(WEIGHTS, jnp.float32)
    with_it = jax.grad(lambda w: jnp.sum((ops.reverse_gradient(x, 3.0) @ w) ** 2))(weights)
    np.testing.assert_allclose(with_it, 2 * X.T @ (X @ WEIGHTS), rtol=1e-5, atol=1e-5)


def test_the_strength_may_be_traced_and_has_no_gradient():
    x = jnp.asarray(X, jnp.float32)
    found = jax.jit(jax.grad(loss, argnums=(0, 1)))(x, jnp.float32(0.5))
    np.testing.assert_allclose(found[0], -0.5 * finite_differences(X), atol=1e-4)
    assert found[1] == 0


def test_reversed_twice_it_is_multiplied_by_the_square():
    x = jnp.asarray(X, jnp.float32)
    twice = jax.grad(lambda x: loss(ops.reverse_gradient(x, 0.5), 0.5))(x)
    np.testing.assert_allclose(twice, 0.25 * finite_differences(X), atol=1e-4)


def test_half_types_keep_their_dtype():
    x = jnp.ones((2, 3), jnp.bfloat16)
    y, vjp = jax.vjp(lambda x: ops.reverse_gradient(x, 0.5), x)
    assert y.dtype == jnp.bfloat16
    np.testing.assert_array_equal(vjp(x)[0], jnp.full((2, 3), -0.5, jnp.bfloat16))
