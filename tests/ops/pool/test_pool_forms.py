"""Each form of pooling gives lax's results, and each is used where it should be."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from cnnjax import ops
from cnnjax.ops.pool import choice
from cnnjax.ops.pool.forms import max_form, max_grad_form, sum_form, sum_grad_form
from cnnjax.ops.pool.places import places
from cnnjax.ops.pool.runs import window_runs
from cnnjax.ops.pool.window import pool_window
from tests.helpers.programs import quickly, temporary_bytes

NON_FINITE = [np.nan, np.inf, -np.inf, 0.0, 1.0]


def _value_and_gradient(pool, x, **options):
    @quickly
    def both(x):
        y, vjp = jax.vjp(lambda x: pool(x, **options), x)
        return y, vjp(jnp.arange(1.0, y.size + 1).reshape(y.shape))[0]

    return both(x)


@pytest.mark.parametrize(("window", "strides"), [(2, 2), (3, 1), (3, 2), (4, 1)])
@pytest.mark.parametrize("padding", ["VALID", 1])
def test_nan_and_infinity_give_what_lax_gives(window, strides, padding):
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
    assert max_form(_where(14, 3, 1, 1)) == "two_pass"
    assert max_form(_where(14, 13, 1, 6)) == "two_pass"
    assert max_form(_where(56, 7, 7)) == "runs"
    assert max_form(_where(7, 7, 7)) == "runs"
    assert max_form(_where(112, 30, 30)) == "two_pass"
    assert max_form(_where(112, 20, 1)) == "lax"
    assert max_form(_where(112, 20, 1, padding=19, dilation=2)) == "lax"
    assert max_grad_form(_where(55, 3, 2)) == "runs"
    assert max_grad_form(_where(112, 16, 1)) == "two_pass"
    assert max_grad_form(_where(112, 20, 1)) == "lax"
    assert max_grad_form(_where(112, 20, 1, dilation=2)) == "search"
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


SEARCHED: list[dict[str, Any]] = [
    dict(window=(3, 2), strides=1, padding=1, dilation=1, ceil_mode=False),
    dict(window=3, strides=(2, 1), padding=((2, 0), (1, 2)), dilation=2, ceil_mode=False),
    dict(window=(2, 3), strides=3, padding=2, dilation=2, ceil_mode=True),
    dict(window=(6, 7), strides=2, padding=5, dilation=1, ceil_mode=False),
    dict(window=3, strides=20, padding=9, dilation=1, ceil_mode=False),
    dict(window=(9, 1), strides=1, padding=((9, 9), (0, 0)), dilation=1, ceil_mode=False),
]


def _by_axes(x, where):
    return choice.offsets_of_axes(*choice.chosen_by_axes(x, where), where)


@pytest.mark.parametrize("options", SEARCHED, ids=str)
def test_a_loop_and_two_passes_choose_as_comparing_the_elements_written_out(options):
    generator = np.random.default_rng(0)
    for values in (NON_FINITE, [0.0, 1.0, 2.0], [-np.inf, np.nan], [-np.inf]):
        x = jnp.asarray(generator.choice(values, (2, 6, 5, 3)), jnp.float32)
        where = pool_window("pool", x, **options)
        expected, looped, in_passes = (
            places(jax.jit(form, static_argnums=1)(x, where), where)
            for form in (choice._written_out, choice._searched, _by_axes)
        )
        np.testing.assert_array_equal(looped, expected)
        np.testing.assert_array_equal(in_passes, expected)


@pytest.mark.parametrize(("window", "strides", "dilation"), [(5, 1, 1), (4, 2, 3), (9, 9, 1)])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_two_passes_give_each_element_what_its_windows_give(window, strides, dilation, dtype):
    # Few distinct values, so that many are equal.
    x = jnp.asarray(np.random.default_rng(0).integers(0, 9, (2, 13, 16, 3)), dtype)
    where = pool_window("pool", x, window, strides, window // 2, dilation, False)
    assert max_form(where) == "two_pass"
    weights = np.random.default_rng(1).integers(-9, 9, (2, *where.output, 3))
    pool = lambda x: ops.max_pool(  # noqa: E731
        x, window, strides=strides, padding=window // 2, dilation=dilation
    )
    y, pull = jax.vjp(pool, x)
    maxima = np.asarray(y, np.float64)
    padded = np.pad(
        np.asarray(x, np.float64),
        [(0, 0), *2 * [(window // 2, window // 2)], (0, 0)],
        constant_values=-np.inf,
    )
    sums = np.zeros_like(padded)
    for n, row, column, c in np.ndindex(y.shape):
        start = row * strides, column * strides
        part = tuple(slice(s, s + (window - 1) * dilation + 1, dilation) for s in start)
        elements = padded[n, *part, c]
        assert maxima[n, row, column, c] == elements.max()
        i, j = np.unravel_index(elements.argmax(), elements.shape)
        place = start[0] + i * dilation, start[1] + j * dilation
        sums[n, *place, c] += weights[n, row, column, c]
    edge = slice(window // 2, -(window // 2))
    # Sums of few small integers are exact in float32, and rounded once to a half type.
    expected = jnp.asarray(sums[:, edge, edge], jnp.float32).astype(dtype)
    np.testing.assert_array_equal(pull(jnp.asarray(weights, dtype))[0], expected)


@pytest.mark.parametrize("dilation", [1, 2])
def test_large_windows_choose_the_first_maximum_and_give_it_the_gradient(dilation):
    x = jnp.asarray(np.random.default_rng(0).integers(0, 99, (1, 90, 81, 2)), jnp.float32)
    y, found = ops.max_pool_with_argmax(x, 40, strides=(1, 2), dilation=dilation)
    reach = 39 * dilation + 1
    expected = np.empty(y.shape, np.int64)
    for o in np.ndindex(y.shape[1:]):
        row, column = o[0], 2 * o[1]
        part = np.asarray(x)[0, row : row + reach : dilation, column : column + reach : dilation]
        i, j = divmod(int(part[..., o[2]].argmax()), 40)
        expected[(0, *o)] = (row + dilation * i) * 81 + column + dilation * j
    np.testing.assert_array_equal(found, expected)
    weights = jnp.arange(1.0, y.size + 1).reshape(y.shape)
    pool = lambda x: (ops.max_pool(x, 40, strides=(1, 2), dilation=dilation) * weights).sum()  # noqa: E731
    sums = np.zeros((81 * 90, 2))
    for o in np.ndindex(y.shape):
        sums[expected[o], o[3]] += weights[o]
    np.testing.assert_allclose(jax.grad(pool)(x)[0].reshape(-1, 2), sums)


def test_windows_of_a_million_elements_are_pooled_at_once():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(1, 20, 20, 1)), jnp.float32)
    options: dict[str, Any] = dict(strides=400, padding=((500, 500), (500, 500)))
    for dilation in (1, 2):
        pool = lambda x, d=dilation: ops.max_pool(x, 500, dilation=d, **options)  # noqa: E731
        y, found = ops.max_pool_with_argmax(x, 500, dilation=dilation, **options)
        np.testing.assert_array_equal(y, pool(x))
        assert found.max() < 400
        y, pull = jax.vjp(pool, x)
        assert pull(jnp.ones_like(y))[0].max() > 0
    assert jax.grad(lambda x: ops.sum_pool(x, 500, **options).sum())(x).min() > 0


@pytest.mark.parametrize("window", [2, 3])
def test_the_backward_rule_needs_less_memory_than_laxs(window):
    x = jax.ShapeDtypeStruct((8, 56, 56, 64), jnp.float32)

    def temporary(pool, backward):
        def grad(x):
            y, vjp = jax.vjp(lambda x: pool(x, window, strides=2, padding=1, backward=backward), x)
            return vjp(y)

        return temporary_bytes(grad, x)

    for pool in (ops.max_pool, ops.avg_pool):
        assert temporary(pool, "ours") <= 1.25 * temporary(pool, "native")


def test_outside_the_cpu_the_program_is_laxs():
    x = jax.ShapeDtypeStruct((2, 8, 8, 3), jnp.float32)
    grad = jax.ShapeDtypeStruct((2, 4, 4, 3), jnp.float32)
    pools = {"max": ops.max_pool, "sum": ops.sum_pool}

    def text(backward, kind):
        def both(x, grad):
            y, vjp = jax.vjp(
                lambda x: pools[kind](x, 3, strides=2, padding=1, backward=backward), x
            )
            return y, vjp(grad)[0]

        exported = jax.export.export(jax.jit(both), platforms=["cuda"])(x, grad)
        return exported.mlir_module()

    for kind, operations in (("max", ("reduce_window", "select_and_scatter")), ("sum", ())):
        for operation in (*operations, "stablehlo.reduce_window"):
            ours, native = (text(b, kind).count(operation) for b in ("ours", "native"))
            assert ours >= 1 and native >= 1, operation


def test_undifferentiated_pooling_is_reduce_window():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 13, 13, 5)), jnp.float32)
    expected = lax.reduce_window(x, -np.inf, lax.max, (1, 3, 3, 1), (1, 2, 2, 1), "SAME")
    np.testing.assert_array_equal(ops.max_pool(x, 3, strides=2, padding="SAME"), expected)


@pytest.mark.parametrize("window", [1, 2, 3])
@pytest.mark.parametrize("stride", [1, 2, 5])
@pytest.mark.parametrize("dilation", [1, 3, 9])
@pytest.mark.parametrize("pads", [(9, 10), (25, 17), (40, 40)])
@pytest.mark.parametrize("ceil_mode", [True, False])
def test_runs_and_counts_are_those_of_each_window(window, stride, dilation, pads, ceil_mode):
    x, (low, high) = jnp.zeros((1, 7, 7, 1)), pads
    where = pool_window("pool", x, window, stride, (pads, pads), dilation, ceil_mode)
    starts = np.arange(where.output[0]) * stride - low
    reads = starts[:, None] + np.arange(window) * dilation
    inside, counted = (reads >= 0) & (reads < 7), (reads >= -low) & (reads < 7 + high)
    runs = window_runs(where, 0)
    found = [
        np.isin(np.arange(window), run.inside) for run in runs for _ in range(run.first, run.last)
    ]
    np.testing.assert_array_equal(found, inside)
    assert all(a.inside != b.inside for a, b in itertools.pairwise(runs))
    for include_pad, elements in ((False, inside), (True, counted)):
        expected = np.outer(elements.sum(axis=1), elements.sum(axis=1))
        np.testing.assert_array_equal(where.counts(include_pad)[0, :, :, 0], expected)
