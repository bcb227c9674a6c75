"""Pooling and its gradients against the defining sums, lax, and what is published."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jax import lax

from cnnjax import ops
from cnnjax.ops.pool.forms import max_form, sum_form, sum_grad_form
from cnnjax.ops.pool.window import pool_window
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


@settings(max_examples=25, **CONFIGURED)
@given(configurations(), st.integers(0, 2**16))
def test_pools_and_gradients_are_the_defining_sums_and_laxs(configuration, seed):
    _check(configuration, seed)


@pytest.mark.slow
@settings(max_examples=600, **CONFIGURED)
@given(configurations(largest=4), st.integers(0, 2**16))
def test_many_pools_and_gradients_are_the_defining_sums_and_laxs(configuration, seed):
    _check(configuration, seed)


@pytest.mark.parametrize("include_pad", [True, False])
@pytest.mark.parametrize(
    ("size", "window", "stride", "pad"),
    [(7, 3, 2, 1), (8, 3, 2, 0), (6, 2, 2, 1), (5, 3, 3, 1), (6, 3, 2, 0), (9, 4, 3, 2)],
)
def test_ceil_mode_is_pytorchs(size, window, stride, pad, include_pad):
    output = (reference_pool.ceil_output(size, window, stride, pad, 1),) * 2
    x = jnp.asarray(np.random.default_rng(0).normal(size=(1, size, size, 2)), jnp.float32)
    options: dict[str, Any] = dict(strides=stride, padding=pad, ceil_mode=True)
    y = ops.max_pool(x, window, **options)
    mean = ops.avg_pool(x, window, count_include_pad=include_pad, **options)
    assert y.shape[1:3] == mean.shape[1:3] == output
    assert np.isfinite(y).all()
    geometry = ((window,) * 2, (stride,) * 2, ((pad, pad),) * 2, (1, 1), output)
    ones = np.ones((1, *output, 2))
    np.testing.assert_array_equal(y, reference_pool.pool(x, ones, "max", *geometry)[0])
    number = reference_pool.counts((size, size), *geometry, include_pad, (size + pad,) * 2)
    sums, back = reference_pool.pool(x, ones / number[..., None], "sum", *geometry)
    np.testing.assert_allclose(mean, sums / number[..., None], rtol=1e-5, atol=1e-6)
    dx = jax.grad(
        lambda x: ops.avg_pool(x, window, count_include_pad=include_pad, **options).sum()
    )(x)
    np.testing.assert_allclose(dx, back, rtol=1e-5, atol=1e-6)


def test_ceil_mode_is_what_caffes_networks_need():
    # GoogLeNet's table 1: 112 → 56 → 28 → 14 → 7 by 3x3 windows with stride 2, without padding.
    sizes = [112]
    while sizes[-1] > 7:
        x = jax.ShapeDtypeStruct((1, sizes[-1], sizes[-1], 1), jnp.float32)
        pool = partial(ops.max_pool, window=3, strides=2, ceil_mode=True)
        sizes.append(jax.eval_shape(pool, x).shape[1])
    assert sizes == [112, 56, 28, 14, 7]


NON_FINITE = [np.nan, np.inf, -np.inf, 0.0, 1.0]


def _value_and_gradient(pool, x, **options):
    @quickly
    def both(x):
        y, vjp = jax.vjp(lambda x: pool(x, **options), x)
        return y, vjp(jnp.arange(1.0, y.size + 1).reshape(y.shape))[0]

    return both(x)


@pytest.mark.parametrize(("window", "strides"), [(2, 2), (3, 1), (3, 2)])
@pytest.mark.parametrize("padding", ["VALID", 1])
def test_nan_and_infinity_are_met_as_lax_meets_them(window, strides, padding):
    x = jnp.asarray(np.random.default_rng(0).choice(NON_FINITE, (4, 9, 9, 8)), jnp.float32)
    for pool in (ops.max_pool, ops.sum_pool):
        ours, native = (
            _value_and_gradient(
                pool, x, window=window, strides=strides, padding=padding, backward=b
            )
            for b in ("ours", "native")
        )
        np.testing.assert_array_equal(ours[0], native[0])
        np.testing.assert_array_equal(ours[1], native[1])


def test_the_first_of_equal_maxima_gets_the_gradient():
    dx = jax.grad(lambda x: ops.max_pool(x, 2).sum())(jnp.ones((1, 2, 2, 1)))
    np.testing.assert_array_equal(dx[0, :, :, 0], [[1, 0], [0, 0]])


def test_a_window_wholly_in_padding_holds_nothing():
    x = jnp.ones((1, 1, 1, 1))
    options: dict[str, Any] = dict(strides=1, padding=2)
    assert ops.max_pool(x, 2, **options)[0, 0, 0, 0] == -jnp.inf
    assert ops.sum_pool(x, 2, **options)[0, 0, 0, 0] == 0
    assert ops.avg_pool(x, 2, **options)[0, 0, 0, 0] == 0
    assert jnp.isnan(ops.avg_pool(x, 2, count_include_pad=False, **options)[0, 0, 0, 0])
    # Whatever those windows give back goes nowhere.
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


def test_dilated_native_pooling_has_both_derivatives():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 9, 9, 3)), jnp.float32)
    options: dict[str, Any] = dict(strides=2, padding=1, dilation=2)
    loss = lambda x, b: jnp.sum(jnp.sin(ops.max_pool(x, 3, backward=b, **options)))  # noqa: E731
    loss = jax.jit(loss, static_argnums=1)
    dx = jax.grad(loss)(x, "ours")
    np.testing.assert_allclose(jax.grad(loss)(x, "native"), dx, rtol=1e-6, atol=1e-6)
    _, forward = jax.jvp(lambda x: loss(x, "native"), (x,), (jnp.cos(x),))
    np.testing.assert_allclose(forward, jnp.sum(dx * jnp.cos(x)), rtol=1e-5)


def _where(size, window, strides, padding: int | str = "VALID", dilation=1):
    x: Any = jax.ShapeDtypeStruct((1, size, size, 1), jnp.float32)
    return pool_window("pool", x, window, strides, padding, dilation, False)


def test_the_form_follows_the_windows():
    assert max_form(_where(55, 3, 2)) == "runs"
    assert max_form(_where(112, 3, 2, 1)) == "runs"
    assert max_form(_where(112, 112, 1)) == "lax"
    assert max_form(_where(112, 40, 1, dilation=2)) == "runs"
    assert sum_form(_where(8, 3, 1, 1)) == "runs"
    assert sum_form(_where(56, 56, 56)) == "two_pass"
    assert sum_grad_form(_where(56, 56, 56)) == "runs"
    assert sum_form(_where(3000, 2000, 1)) == "lax"
    assert sum_grad_form(_where(14, 5, 3)) == "runs"


def test_large_windows_take_other_forms_with_the_same_result():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(1, 34, 34, 2)), jnp.float32)
    for pool, strides in ((ops.max_pool, 1), (ops.sum_pool, 1), (ops.sum_pool, 5)):
        ours, native = (
            _value_and_gradient(pool, x, window=33, strides=strides, backward=b)
            for b in ("ours", "native")
        )
        np.testing.assert_allclose(ours[0], native[0], rtol=1e-5, atol=1e-4)
        np.testing.assert_allclose(ours[1], native[1], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("window", [2, 3])
def test_the_backward_rule_needs_less_memory_than_laxs(window):
    x = jax.ShapeDtypeStruct((8, 56, 56, 64), jnp.float32)

    def temporary(pool, backward):
        def grad(x):
            y, vjp = jax.vjp(lambda x: pool(x, window, strides=2, padding=1, backward=backward), x)
            return vjp(y)

        return jax.jit(grad).lower(x).compile().memory_analysis().temp_size_in_bytes

    for pool in (ops.max_pool, ops.avg_pool):
        assert temporary(pool, "ours") <= 1.25 * temporary(pool, "native")


def test_outside_the_cpu_the_program_is_laxs():
    x = jax.ShapeDtypeStruct((2, 8, 8, 3), jnp.float32)
    grad = jax.ShapeDtypeStruct((2, 4, 4, 3), jnp.float32)

    def text(backward, kind):
        def both(x, grad):
            y, vjp = jax.vjp(
                lambda x: POOLS[kind](x, 3, strides=2, padding=1, backward=backward), x
            )
            return y, vjp(grad)[0]

        exported = jax.export.export(jax.jit(both), platforms=["cuda"])(x, grad)
        return exported.mlir_module()

    for kind, operations in (("max", ("reduce_window", "select_and_scatter")), ("sum", ())):
        for operation in (*operations, "stablehlo.reduce_window"):
            ours, native = (text(b, kind).count(operation) for b in ("ours", "native"))
            assert ours >= 1 and native >= 1, operation


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


def test_undifferentiated_pooling_is_reduce_window():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 13, 13, 5)), jnp.float32)
    expected = lax.reduce_window(x, -np.inf, lax.max, (1, 3, 3, 1), (1, 2, 2, 1), "SAME")
    np.testing.assert_array_equal(ops.max_pool(x, 3, strides=2, padding="SAME"), expected)
