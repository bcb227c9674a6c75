"""nn.MaxPool, nn.AvgPool, nn.SumPool and nn.AdaptiveAvgPool against sums written out in NumPy."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import nn

IMAGES = np.asarray(jax.random.normal(jax.random.key(0), (2, 7, 8, 3)), np.float64)


def windows(x, size, stride, reduce):
    rows, columns = ((n - size) // stride + 1 for n in x.shape[1:3])
    return np.stack(
        [
            np.stack(
                [
                    reduce(x[:, r * stride : r * stride + size, c * stride : c * stride + size])
                    for c in range(columns)
                ],
                axis=1,
            )
            for r in range(rows)
        ],
        axis=1,
    )


@pytest.mark.parametrize("backward", ["ours", "native"])
@pytest.mark.parametrize(("window", "strides"), [(2, None), (3, 2), (3, 1)])
def test_pools_are_the_maximum_the_mean_and_the_sum_of_each_window(window, strides, backward):
    x = jnp.asarray(IMAGES, jnp.float32)
    for module, reduce in ((nn.MaxPool, np.max), (nn.AvgPool, np.mean), (nn.SumPool, np.sum)):
        pool = module(window, strides, backward=backward)
        expected = windows(
            IMAGES, window, strides or window, lambda w, reduce=reduce: reduce(w, axis=(1, 2))
        )
        found: Any = pool.apply({}, x)
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_average_can_leave_padding_out_of_the_divisor():
    ones = jnp.ones((1, 4, 4, 1))
    inside: Any = nn.AvgPool(3, 1, padding=1, count_include_pad=False).apply({}, ones)
    np.testing.assert_allclose(inside, np.ones((1, 4, 4, 1)), atol=1e-6)
    counted: Any = nn.AvgPool(3, 1, padding=1).apply({}, ones)
    assert float(counted[0, 0, 0, 0]) == pytest.approx(4 / 9)


@pytest.mark.parametrize("module", [nn.MaxPool, nn.AvgPool, nn.SumPool, nn.MaxPoolWithSwitches])
def test_a_window_larger_than_the_input_is_refused_by_name(module):
    pool = module(4, name="pool9")
    with pytest.raises(ValueError, match=r"pool9.*window \(4, 4\) is larger"):
        jax.eval_shape(lambda x: pool.apply({}, x), jax.ShapeDtypeStruct((1, 3, 3, 1), jnp.float32))


@pytest.mark.parametrize("cells", [(1, 1), (3, 2), (7, 8), (9, 11)])
def test_adaptive_average_divides_the_input_into_cells(cells):
    rows, columns = cells
    height, width = IMAGES.shape[1:3]
    expected = np.zeros((2, rows, columns, 3))
    for r in range(rows):
        for c in range(columns):
            top, bottom = np.floor(r * height / rows), np.ceil((r + 1) * height / rows)
            left, right = np.floor(c * width / columns), np.ceil((c + 1) * width / columns)
            cell = IMAGES[:, int(top) : int(bottom), int(left) : int(right)]
            expected[:, r, c] = cell.mean(axis=(1, 2))
    x = jnp.asarray(IMAGES, jnp.float32)
    pool = nn.AdaptiveAvgPool(cells)
    found: Any = pool.apply({}, x)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    half: Any = pool.apply({}, x.astype(jnp.bfloat16))
    assert half.dtype == jnp.bfloat16
