"""Response, contrast and batch normalization against their papers' formulas."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import ops
from tests.helpers import reference_pool
from tests.helpers.programs import quickly, temporary_bytes


def _images(shape=(2, 5, 6, 8), dtype=jnp.float32, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), dtype)


def _stored(function, *arguments):
    """How many numbers the forward pass keeps for the backward pass, each buffer counted once."""
    _, vjp = jax.vjp(function, *arguments)
    kept = {leaf.unsafe_buffer_pointer(): leaf.size for leaf in jax.tree.leaves(vjp)}
    return sum(kept.values())


def _assert_gradient_is_a_finite_difference(function, arguments):
    """Along one random direction of all arguments, in float64."""
    with jax.enable_x64(True):
        arguments = tuple(jnp.asarray(a, jnp.float64) for a in arguments)
        step = tuple(_images(a.shape, jnp.float64, seed=5) for a in arguments)
        loss = lambda *a: jnp.sum(jnp.sin(function(*a) * 1.7))  # noqa: E731
        grads = quickly(jax.grad(loss, tuple(range(len(arguments)))))(*arguments)
        loss = quickly(loss)
        slope = sum(jnp.sum(g * s) for g, s in zip(grads, step, strict=True))
        ahead, behind = (
            loss(*(a + h * s for a, s in zip(arguments, step, strict=True))) for h in (1e-5, -1e-5)
        )
        np.testing.assert_allclose(slope, (ahead - behind) / 2e-5, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    "constants",
    [
        dict(size=5, alpha=1e-4, beta=0.75, k=2.0),
        dict(size=4, alpha=0.3, beta=0.5, k=1.0),
        dict(size=1, alpha=0.2, beta=0.75, k=0.5),
        dict(size=30, alpha=0.1, beta=1.2, k=1.5),
    ],
    ids=["alexnet", "even", "one", "wider_than_the_channels"],
)
def test_local_response_norm_is_the_papers_formula(constants):
    x = _images()
    y = ops.local_response_norm(x, **constants)
    np.testing.assert_allclose(y, reference_pool.local_response_norm(x, **constants), rtol=2e-6)
    _assert_gradient_is_a_finite_difference(
        lambda x: ops.local_response_norm(x, **constants), (_images((1, 2, 2, 8)),)
    )


def test_local_response_norm_is_torchs_with_alpha_times_size():
    # torch.nn.LocalResponseNorm(3, alpha=0.3, beta=0.75, k=1) of [1, 2, 3]: z = 1 + 0.1 Σ a².
    y = ops.local_response_norm(jnp.array([[[[1.0, 2.0, 3.0]]]]), size=3, alpha=0.1, k=1.0)
    z = np.array([1 + 0.1 * 5, 1 + 0.1 * 14, 1 + 0.1 * 13])
    np.testing.assert_allclose(y[0, 0, 0], np.array([1, 2, 3]) * z**-0.75, rtol=1e-6)


def test_local_response_norm_stores_its_input_only():
    x = _images()
    ours, native = (
        _stored(lambda x, b=b: ops.local_response_norm(x, backward=b), x)
        for b in ("ours", "native")
    )
    assert ours == x.size < native


def test_a_nan_reaches_its_neighbors_only():
    x = _images((1, 1, 1, 9)).at[0, 0, 0, 4].set(jnp.nan)
    y = ops.local_response_norm(x, size=3)
    np.testing.assert_array_equal(np.isnan(y[0, 0, 0]), [0, 0, 0, 1, 1, 1, 0, 0, 0])


@pytest.mark.parametrize("window", [3, (5, 1)])
def test_local_contrast_norm_is_centered_and_scaled(window):
    x = _images((2, 6, 5, 3))
    pair = (window, window) if isinstance(window, int) else window
    y = quickly(lambda x: ops.local_contrast_norm(x, window=window))(x)
    np.testing.assert_allclose(
        y, reference_pool.local_contrast_norm(x, pair, 1e-4), rtol=1e-4, atol=1e-5
    )
    _assert_gradient_is_a_finite_difference(
        lambda x: ops.local_contrast_norm(x, window=window), (_images((1, 3, 4, 2)),)
    )


def test_a_flat_image_has_no_contrast_and_a_finite_gradient():
    flat = jnp.full((1, 6, 6, 2), 3.0)
    y = quickly(lambda x: ops.local_contrast_norm(x, window=3))(flat)
    np.testing.assert_array_equal(y, jnp.zeros_like(flat))
    slope = quickly(jax.grad(lambda x: ops.local_contrast_norm(x, window=3).sum()))(flat)
    assert np.isfinite(slope).all()


def _batch_norm_inputs():
    return _images((4, 3, 3, 6)) * 3 + 5, _images((6,), seed=1), _images((6,), seed=2)


def test_batch_norm_is_algorithm_1():
    x, scale, bias = _batch_norm_inputs()
    y, mean, variance = ops.batch_norm(x, scale, bias, epsilon=1e-3)
    x64 = np.asarray(x, np.float64)
    np.testing.assert_allclose(mean, x64.mean((0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(variance, x64.var((0, 1, 2)), rtol=1e-5)
    expected = (x64 - x64.mean((0, 1, 2))) / np.sqrt(x64.var((0, 1, 2)) + 1e-3)
    np.testing.assert_allclose(
        y, expected * np.asarray(scale) + np.asarray(bias), rtol=1e-5, atol=1e-5
    )


def test_batch_norm_gradients_are_finite_differences():
    _assert_gradient_is_a_finite_difference(lambda *a: ops.batch_norm(*a)[0], _batch_norm_inputs())


def test_batch_norm_stores_no_second_copy_of_its_input():
    x, scale, bias = _batch_norm_inputs()

    big = jnp.zeros((8, 28, 28, 64))

    def temporary(backward):
        def grads(x, scale, bias, grad):
            f = lambda *a: ops.batch_norm(*a, backward=backward)[0]  # noqa: E731
            y, vjp = jax.vjp(f, x, scale, bias)
            return y, vjp(grad)

        row = jnp.zeros((64,))
        return temporary_bytes(grads, big, row, row, big)

    # Partial sums of a few rows are all that ours may add.
    assert temporary("ours") <= temporary("native") + big.nbytes / 16
    assert _stored(lambda *a: ops.batch_norm(*a)[0], x, scale, bias) <= x.size + 4 * 6


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_half_types_are_kept_and_computed_in_float32(dtype):
    x, scale, bias = _batch_norm_inputs()
    half = x.astype(dtype)
    y, mean, _ = ops.batch_norm(half, scale, bias)
    assert (y.dtype, mean.dtype) == (dtype, jnp.float32)
    wide = ops.batch_norm(half.astype(jnp.float32), scale, bias)[0]
    np.testing.assert_array_equal(y, wide.astype(dtype))
    for norm in (ops.local_response_norm, lambda x: ops.local_contrast_norm(x, window=3)):
        assert norm(half).dtype == dtype
        np.testing.assert_array_equal(norm(half), norm(half.astype(jnp.float32)).astype(dtype))


def test_batch_norm_over_devices_is_batch_norm_of_the_whole_batch():
    x, scale, bias = _batch_norm_inputs()
    whole = jax.grad(lambda x: jnp.sum(ops.batch_norm(x, scale, bias)[0] ** 3))(x)
    split = jax.pmap(
        jax.grad(lambda x: jnp.sum(ops.batch_norm(x, scale, bias, axis_name="d")[0] ** 3)),
        axis_name="d",
    )(x.reshape(2, 2, 3, 3, 6))
    np.testing.assert_allclose(split.reshape(x.shape), whole, rtol=1e-3, atol=1e-4)


def test_inference_uses_the_given_statistics():
    x, scale, bias = _batch_norm_inputs()
    mean, variance = _images((6,), seed=3), _images((6,), seed=4) ** 2
    y = ops.batch_norm_inference(x, scale, bias, mean, variance)
    x64, m, v, g, b = (np.asarray(a, np.float64) for a in (x, mean, variance, scale, bias))
    np.testing.assert_allclose(y, g * (x64 - m) / np.sqrt(v + 1e-5) + b, rtol=1e-4, atol=1e-5)


def test_wrong_arguments_are_named():
    x, scale, bias = _batch_norm_inputs()
    with pytest.raises(ValueError, match=r"scale must have one value per channel, shape \(6,\)"):
        ops.batch_norm(x, scale[:3], bias)
    with pytest.raises(ValueError, match="size must be an int of at least 1"):
        ops.local_response_norm(x, size=0)
    with pytest.raises(ValueError, match="window must be odd"):
        ops.local_contrast_norm(x, window=4)


def test_local_contrast_norm_of_a_flat_image_takes_any_small_epsilon():
    flat = jnp.ones((1, 5, 5, 1))
    assert float(jnp.abs(ops.local_contrast_norm(flat, window=3, epsilon=1e-19)).max()) == 0
    # The center's own weight is 1 - 1 / 9, and the divisor is epsilon.
    center = jax.grad(lambda z: ops.local_contrast_norm(z, window=3, epsilon=1e-13)[0, 2, 2, 0])
    np.testing.assert_allclose(center(flat)[0, 2, 2, 0], 8 / 9 * 1e13, rtol=1e-5)
