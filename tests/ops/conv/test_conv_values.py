"""NaN, infinities and accumulation in float32: our convolution returns what lax returns."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from cnnjax import ops
from tests.ops.conv.conv_cases import CASES


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["resnet_3x3", "bottleneck_1x1", "depthwise_stride_2"])
def test_nan_and_infinity_spread_as_in_lax(name, value):
    case = CASES[name]
    x, k, g = case.arrays()
    x = x.at[0, 3, 4, 0].set(value)

    def plain(x, k):
        return lax.conv_general_dilated(
            x, k, case.strides, case.pads, dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=case.groups,
        )  # fmt: skip

    y, vjp = jax.vjp(lambda x, k: ops.conv2d(x, k, **case.options), x, k)
    expected, plain_vjp = jax.vjp(plain, x, k)
    assert not np.all(np.isfinite(y))
    for actual, wanted in zip((y, *vjp(g)), (expected, *plain_vjp(g)), strict=True):
        actual, wanted = np.asarray(actual), np.asarray(wanted)
        np.testing.assert_array_equal(np.isfinite(actual), np.isfinite(wanted))
        finite = np.isfinite(wanted)
        np.testing.assert_allclose(actual[finite], wanted[finite], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kernel", [(3, 3, 64, 8), (1, 1, 4096, 8)])
def test_half_types_do_not_lose_small_terms(kernel):
    # 1 + n · 2⁻¹⁰ in bfloat16 stays 1 when each term is rounded away, and is exact in float32.
    x = jnp.full((1, 5, 5, kernel[2]), 2.0**-10, jnp.bfloat16).at[..., 0].set(1.0)
    k = jnp.ones(kernel, jnp.bfloat16)
    y = ops.conv2d(x, k, padding="VALID")
    taps = kernel[0] * kernel[1]
    expected = taps * (1.0 + (kernel[2] - 1) * 2.0**-10)
    np.testing.assert_allclose(np.asarray(y, np.float64), expected, rtol=2.0**-8)
    assert float(y[0, 0, 0, 0]) > taps
