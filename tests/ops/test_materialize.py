"""Arrays that are kept in memory: nothing changes but what the compiled program reads."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax.ops.materialize import materialized
from tests.helpers.programs import program_text

VALUES = np.array([[np.nan, np.inf, -np.inf], [0.0, -0.0, 1.5]], np.float32)


@pytest.mark.parametrize("first", [np.nan, np.inf, -np.inf, 0.0, 3.0])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.float16])
def test_values_stay_to_the_bit(first, dtype):
    x = jnp.asarray(VALUES).at[0, 0].set(first).astype(dtype)
    found = jax.jit(materialized)(x)
    assert found.dtype == dtype
    np.testing.assert_array_equal(np.asarray(found, np.float32), np.asarray(x, np.float32))
    np.testing.assert_array_equal(jnp.signbit(found), jnp.signbit(x))


def test_integers_have_a_witness_of_another_type():
    x = jnp.arange(-128, 128, dtype=jnp.int8)
    np.testing.assert_array_equal(jax.jit(materialized)(x, jnp.ones((3, 2))), x)


def test_derivatives_of_every_order_are_those_of_the_identity():
    x = jnp.array([1.0, 2.0, 3.0])
    cubes = lambda x: jnp.sum(materialized(x, x * 2) ** 3)  # noqa: E731
    np.testing.assert_allclose(jax.grad(cubes)(x), 3 * x**2, rtol=1e-6)
    np.testing.assert_allclose(jnp.diag(jax.hessian(cubes)(x)), 6 * x, rtol=1e-6)
    np.testing.assert_allclose(jax.vmap(jax.grad(cubes))(x[:, None])[:, 0], 3 * x**2, rtol=1e-6)


def test_empty_arrays_and_symbolic_batches_pass():
    assert materialized(jnp.ones((0, 3))).shape == (0, 3)
    shape = jax.export.symbolic_shape("b, 3")
    exported = jax.export.export(jax.jit(materialized))(jax.ShapeDtypeStruct(shape, jnp.float32))
    np.testing.assert_array_equal(exported.call(VALUES), VALUES)


def computed_anew(keep):
    """Returns how often the program computes the maximum that a product and a transpose read."""

    def twice(x, witness):
        y = keep(jnp.maximum(x * 3.0, 1.0), witness)
        return y.T @ y, y[:, ::-1].T.copy()

    return program_text(twice, jnp.ones((256, 128)), jnp.ones(1)).count(" maximum(")


def test_a_kept_array_is_computed_once():
    assert computed_anew(materialized) == 1 < computed_anew(lambda y, _: y)
