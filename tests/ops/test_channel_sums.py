"""Sums per channel and the bias whose gradient they are, against NumPy in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import ops
from cnnjax.ops.channel_sums import channel_sums


@pytest.mark.parametrize(
    "shape",
    [(2, 56, 56, 3), (3, 37, 37, 4), (128, 5), (1, 1, 1, 2), (2, 29, 31, 5), (0, 4, 4, 3), (7, 1)],
)
def test_sums_are_over_all_but_the_channels(shape):
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    expected = x.astype(np.float64).reshape(-1, shape[-1]).sum(0)
    found = jax.jit(channel_sums)(x)
    # Each of n additions may be off by half an ulp of what was summed so far.
    bound = 4 * np.finfo(np.float32).eps * np.sqrt(max(x.size, 1)) * np.abs(x).max(initial=1.0)
    np.testing.assert_allclose(found, expected, atol=bound)


def test_sums_of_a_symbolic_batch():
    batch = jax.export.symbolic_shape("b, 6, 6, 3")
    exported = jax.export.export(jax.jit(channel_sums))(jax.ShapeDtypeStruct(batch, jnp.float32))
    x = np.random.default_rng(0).normal(size=(5, 6, 6, 3)).astype(np.float32)
    np.testing.assert_allclose(exported.call(x), x.sum((0, 1, 2)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [(2, 6, 7, 3), (4, 3)])
def test_bias_is_added_and_its_gradient_is_the_summed_upstream_gradient(shape):
    rng = np.random.default_rng(1)
    x, g = (rng.normal(size=shape).astype(np.float32) for _ in range(2))
    bias = np.array([1.0, -2.0, 0.5], np.float32)
    y, vjp = jax.vjp(ops.add_bias, jnp.asarray(x), jnp.asarray(bias))
    np.testing.assert_array_equal(y, x + bias)
    dx, db = vjp(jnp.asarray(g))
    np.testing.assert_array_equal(dx, g)
    np.testing.assert_allclose(db, g.astype(np.float64).reshape(-1, 3).sum(0), rtol=1e-5)


def test_half_gradients_are_summed_in_float32():
    ones = jnp.ones((1, 64, 64, 2), jnp.bfloat16)
    _, vjp = jax.vjp(ops.add_bias, ones, jnp.zeros(2, jnp.bfloat16))
    # Summed in bfloat16 it would stay at 256, where 1 is less than half an ulp.
    np.testing.assert_array_equal(vjp(ones)[1], jnp.full(2, 4096, jnp.bfloat16))


@pytest.mark.slow
def test_second_derivatives_and_vmap():
    x, bias = jnp.ones((2, 3, 3, 4)), jnp.arange(4.0)
    loss = lambda b: jnp.sum(ops.add_bias(x, b) ** 3)  # noqa: E731
    # d²/db² Σ (1 + b)³ = 18 values · 6 (1 + b).
    np.testing.assert_allclose(
        jnp.diag(jax.jacrev(jax.grad(loss))(bias)),
        18 * 6 * (1 + bias),
        rtol=1e-6,
    )
    many = jax.vmap(ops.add_bias, in_axes=(None, 0))(x, jnp.stack([bias, -bias]))
    np.testing.assert_array_equal(many[1], np.asarray(x) - np.asarray(bias))


def test_a_bias_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"add_bias: bias must have one value per channel"):
        ops.add_bias(jnp.ones((1, 2, 2, 3)), jnp.ones(2))
    with pytest.raises(TypeError, match="add_bias: x is float32 and bias bfloat16"):
        ops.add_bias(jnp.ones((1, 2, 2, 3)), jnp.ones(3, jnp.bfloat16))
    with pytest.raises(TypeError, match="add_bias"):
        jax.jvp(lambda b: ops.add_bias(jnp.ones((2, 3)), b), (jnp.ones(3),), (jnp.ones(3),))
    _, slope = jax.jvp(
        lambda b: ops.add_bias(jnp.ones((2, 3)), b, backward="native"),
        (jnp.ones(3),),
        (jnp.ones(3),),
    )
    np.testing.assert_array_equal(slope, np.ones((2, 3)))
