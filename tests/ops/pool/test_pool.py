"""Pooling and its gradients against the defining sums, and what it refuses."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cnnjax import ops
from tests.helpers import reference_pool
from tests.helpers.programs import quickly

DTYPES = [jnp.float32, jnp.bfloat16, jnp.float16, jnp.float64]
POOLS = {"max": ops.max_pool, "sum": ops.sum_pool, "avg": ops.avg_pool}


@st.composite
def configurations(draw, largest=3):
    pair = lambda low, high: st.tuples(st.integers(low, high), st.integers(low, high))  # noqa: E731
    window, dilation = draw(pair(1, largest)), draw(pair(1, 3))
    pads = draw(st.tuples(pair(0, largest - 1), pair(0, largest - 1)))
    spans = [(k - 1) * d + 1 for k, d in zip(window, dilation, strict=True)]
    size = tuple(
        draw(st.integers(max(1, s - sum(p)), max(1, s - sum(p)) + 5))
        for s, p in zip(spans, pads, strict=True)
    )
    shape = (draw(st.integers(1, 2)), *size, draw(st.integers(1, 3)))
    return shape, window, draw(pair(1, 4)), pads, dilation, draw(st.sampled_from(DTYPES))


def _check(configuration, seed):
    shape, window, strides, pads, dilation, dtype = configuration
    rng = np.random.default_rng(seed)
    options: dict[str, Any] = dict(strides=strides, padding=pads, dilation=dilation)
    with jax.enable_x64(True):
        # Few distinct values, so that ties are common; all sums are exact in every dtype.
        x = jnp.asarray(rng.integers(-3, 4, shape), dtype)
        output = jax.eval_shape(lambda x: ops.max_pool(x, window, **options), x).shape
        grad = jnp.asarray(rng.integers(-3, 4, output), dtype)

        @quickly
        def values_and_gradients(x, grad):
            results = {}
            for kind in ("max", "sum"):
                for backward in ("ours", "native"):
                    pool = partial(POOLS[kind], window=window, backward=backward, **options)
                    y, vjp = jax.vjp(pool, x)
                    results[kind, backward] = y, vjp(grad)[0]
            return results

        for (kind, _), found in values_and_gradients(x, grad).items():
            expected = reference_pool.pool(
                x, grad, kind, window, strides, pads, dilation, output[1:3]
            )
            for ours, sums in zip(found, expected, strict=True):
                assert ours.dtype == dtype
                np.testing.assert_array_equal(np.asarray(ours, np.float64), sums)


CONFIGURED: dict[str, Any] = dict(
    deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)


@settings(max_examples=15, **CONFIGURED)
@given(configurations(), st.integers(0, 2**16))
def test_pools_and_gradients_are_the_defining_sums_and_laxs(configuration, seed):
    _check(configuration, seed)


@pytest.mark.slow
@settings(max_examples=600, **CONFIGURED)
@given(configurations(largest=4), st.integers(0, 2**16))
def test_many_pools_and_gradients_are_the_defining_sums_and_laxs(configuration, seed):
    _check(configuration, seed)


def test_the_first_of_equal_maxima_gets_the_gradient():
    dx = jax.grad(lambda x: ops.max_pool(x, 2).sum())(jnp.ones((1, 2, 2, 1)))
    np.testing.assert_array_equal(dx[0, :, :, 0], [[1, 0], [0, 0]])


def test_a_window_wholly_in_padding_contains_nothing():
    x = jnp.ones((1, 1, 1, 1))
    options: dict[str, Any] = dict(strides=1, padding=2)
    assert ops.max_pool(x, 2, **options)[0, 0, 0, 0] == -jnp.inf
    assert ops.sum_pool(x, 2, **options)[0, 0, 0, 0] == 0
    assert ops.avg_pool(x, 2, **options)[0, 0, 0, 0] == 0
    assert jnp.isnan(ops.avg_pool(x, 2, count_include_pad=False, **options)[0, 0, 0, 0])
    # The gradients of those windows go nowhere.
    dx = jax.grad(lambda x: ops.max_pool(x, 2, **options).at[0, 0, 0].set(0.0).sum())(x)
    assert dx[0, 0, 0, 0] == 4
    dx = jax.grad(lambda x: jnp.nansum(ops.avg_pool(x, 2, count_include_pad=False, **options)))(x)
    assert dx[0, 0, 0, 0] == 4


@pytest.mark.parametrize("pool", POOLS.values(), ids=POOLS)
def test_empty_batches_pixels_and_whole_images(pool):
    empty = jnp.zeros((0, 4, 4, 3))
    assert pool(empty, 2).shape == jax.grad(lambda x: pool(x, 2).sum())(empty)[:, ::2, ::2].shape
    pixel = jnp.full((2, 1, 1, 3), 5.0)
    np.testing.assert_array_equal(pool(pixel, 1), pixel)
    np.testing.assert_array_equal(jax.grad(lambda x: pool(x, 1).sum())(pixel), jnp.ones_like(pixel))
    image = jnp.arange(2 * 5 * 4 * 3.0).reshape(2, 5, 4, 3)
    whole = {"max": np.max, "sum": np.sum, "avg": np.mean}[pool.__name__.split("_")[0]]
    for strides in (1, None):
        y = pool(image, (5, 4), strides=strides)
        np.testing.assert_allclose(y[:, 0, 0], whole(image, axis=(1, 2)), rtol=1e-6)


def test_global_pools_are_maximum_and_mean_of_the_image():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 40, 41, 3)), jnp.float32)
    np.testing.assert_array_equal(ops.global_max_pool(x), np.max(x, axis=(1, 2)))
    mean = np.mean(np.asarray(x, np.float64), axis=(1, 2))
    np.testing.assert_allclose(ops.global_avg_pool(x), mean, rtol=1e-4, atol=1e-6)
    assert ops.global_avg_pool(x, keepdims=True).shape == (2, 1, 1, 3)
    dx = quickly(jax.grad(lambda x: ops.global_max_pool(x).sum()))(x)
    np.testing.assert_array_equal(dx, x == np.max(x, axis=(1, 2), keepdims=True))
    dx = quickly(jax.grad(lambda x: ops.global_avg_pool(x).sum()))(x)
    np.testing.assert_allclose(dx, np.full(x.shape, 1 / (40 * 41)), rtol=1e-6)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_half_types_are_averaged_in_float32(dtype):
    x = jnp.asarray(np.random.default_rng(0).uniform(1, 2, (1, 56, 56, 4)), dtype)
    mean = np.mean(np.asarray(x, np.float64), axis=(1, 2))
    y = quickly(ops.global_avg_pool)(x)
    assert y.dtype == dtype
    np.testing.assert_allclose(np.asarray(y, np.float64), mean, rtol=float(jnp.finfo(dtype).eps))


REFUSED = [
    (dict(window=0), "window must be an int or a pair"),
    (dict(window=9), "window (9, 9) is larger than the padded input (4, 4)"),
    (dict(window=2, strides=0), "strides must be"),
    (dict(window=2, padding="FULL"), "padding must be"),
    (dict(window=2, dilation=0), "dilation must be"),
    (dict(window=2, backward="mine"), "backward must be 'ours' or 'native'"),
    (dict(window=9, ceil_mode=True, strides=2), "no window"),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSED, ids=[m for _, m in REFUSED])
def test_wrong_arguments_are_named(arguments, message):
    for pool in POOLS.values():
        with pytest.raises(ValueError) as caught:
            pool(jnp.zeros((1, 4, 4, 1)), **arguments)
        assert message in str(caught.value)
        assert pool.__name__ in str(caught.value)


@pytest.mark.parametrize("shape", [(4, 4, 1), (1, 4, 4, 1, 1)])
def test_images_need_four_axes_and_a_floating_dtype(shape):
    with pytest.raises(ValueError, match="4 axes"):
        ops.max_pool(jnp.zeros(shape), 2)
    with pytest.raises(ValueError, match="floating dtype, got int32"):
        ops.avg_pool(jnp.zeros((1, 4, 4, 1), jnp.int32), 2)
