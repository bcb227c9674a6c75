"""Dense products and their gradients, against NumPy in float64 and JAX's own rules."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import ops
from cnnjax.ops.conv.algorithms.taps import LARGE
from cnnjax.ops.dense import FEW_ROWS
from tests.helpers.programs import program_text


def drawn(shape, seed):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("rows", [1, 2, FEW_ROWS, FEW_ROWS + 1, 40])
def test_values_and_gradients_are_the_defining_sums(rows):
    x, kernel, g = drawn((rows, 7), 0), drawn((7, 5), 1), drawn((rows, 5), 2)
    y, vjp = jax.vjp(ops.dense, jnp.asarray(x), jnp.asarray(kernel))
    dx, dk = jax.jit(vjp)(jnp.asarray(g))
    wide = [a.astype(np.float64) for a in (x, kernel, g)]
    # Sums of n products of numbers of size about 3: 4 ulps for each accumulated √n.
    eps = 4 * 9 * np.finfo(np.float32).eps
    np.testing.assert_allclose(y, wide[0] @ wide[1], rtol=0, atol=eps * np.sqrt(7))
    np.testing.assert_allclose(dx, wide[2] @ wide[1].T, rtol=0, atol=eps * np.sqrt(5))
    np.testing.assert_allclose(dk, wide[0].T @ wide[2], rtol=0, atol=eps * np.sqrt(rows))


def test_large_kernels_have_the_same_gradient():
    x, kernel, g = drawn((3, 700), 0), drawn((700, 300), 1), drawn((3, 300), 2)
    assert kernel.size >= LARGE
    dx = jax.jit(lambda g: jax.vjp(ops.dense, x, kernel)[1](g)[0])(g)
    expected = g.astype(np.float64) @ kernel.astype(np.float64).T
    np.testing.assert_allclose(dx, expected, rtol=0, atol=36 * 1.2e-7 * np.sqrt(300))
    cotangent = jnp.ones_like(dx)
    again = jax.grad(lambda g: jnp.vdot(jax.vjp(ops.dense, x, kernel)[1](g)[0], cotangent))(g)
    np.testing.assert_allclose(again, np.ones((3, 700)) @ kernel, rtol=1e-3, atol=1e-3)


def test_every_batch_dimension_counts_as_examples():
    x, kernel = jnp.asarray(drawn((2, 3, 4), 0)), jnp.asarray(drawn((4, 6), 1))
    loss = lambda x, k, how: jnp.sum(jnp.sin(ops.dense(x, k, backward=how)))  # noqa: E731
    found = jax.grad(loss, (0, 1))(x, kernel, "ours")
    expected = jax.grad(loss, (0, 1))(x, kernel, "native")
    for ours, native in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, native, rtol=1e-5, atol=1e-6)
    assert ops.dense(x[0, 0], kernel).shape == (6,)
    assert jax.grad(loss, 1)(x[:0], kernel, "ours").sum() == 0


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
@pytest.mark.parametrize("rows", [8, 4096])
def test_half_types_are_summed_in_float32(dtype, rows):
    x, g = jnp.ones((rows, 2), dtype), jnp.full((rows, 3), 1 / 8, dtype)
    dk = jax.vjp(lambda k: ops.dense(x, k), jnp.ones((2, 3), dtype))[1](g)[0]
    # Summed in bfloat16 it would stay at 32, where 1/8 is half an ulp.
    np.testing.assert_array_equal(dk, jnp.full((2, 3), rows / 8, dtype))


def test_few_examples_make_no_matrix_product_of_the_kernels_gradient():
    def products(rows):
        x, kernel = jnp.ones((rows, 12)), jnp.ones((12, 8))
        gradient = jax.jit(jax.grad(lambda k: ops.dense(x, k).sum()))
        return program_text(gradient, kernel).count(" dot(")

    assert products(FEW_ROWS) < products(FEW_ROWS + 1)


@pytest.mark.slow
def test_second_derivatives_vmap_and_forward_mode():
    x, kernel = jnp.asarray(drawn((3, 4), 0)), jnp.asarray(drawn((4, 2), 1))
    cubes = lambda k: jnp.sum(ops.dense(x, k) ** 3)  # noqa: E731
    hessian = jax.jacrev(jax.grad(cubes))(kernel)
    # d²/dk_io dk_jo Σ y³ = Σ_n 6 y_no x_ni x_nj, and 0 between two outputs.
    expected = np.einsum("no,ni,nj->ioj", 6 * (x @ kernel), x, x)
    np.testing.assert_allclose(np.einsum("iojo->ioj", hessian), expected, rtol=2e-4, atol=1e-4)
    assert hessian[0, 0, 1, 1] == 0
    many = jax.vmap(jax.grad(cubes))(jnp.stack([kernel, -kernel]))
    np.testing.assert_allclose(many[0], many[1], rtol=1e-5)
    with pytest.raises(TypeError, match=r'dense.*backward="native"'):
        jax.jvp(cubes, (kernel,), (kernel,))
    native = lambda k: jnp.sum(ops.dense(x, k, backward="native"))  # noqa: E731
    np.testing.assert_allclose(jax.jvp(native, (kernel,), (kernel,))[1], native(kernel), rtol=1e-5)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"a row for each.*got \(5, 2\) for x of shape \(3, 4\)"):
        ops.dense(jnp.ones((3, 4)), jnp.ones((5, 2)))
    with pytest.raises(TypeError, match="x float32, kernel bfloat16"):
        ops.dense(jnp.ones((3, 4)), jnp.ones((4, 2), jnp.bfloat16))
    with pytest.raises(ValueError, match="backward must be"):
        ops.dense(jnp.ones((3, 4)), jnp.ones((4, 2)), backward="mine")
