"""Pooling with the output size rounded up, as PyTorch and Caffe do it."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import ops
from tests.helpers import reference_pool


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
