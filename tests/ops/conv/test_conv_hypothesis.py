"""Random convolutions against the defining sums and lax: 50 by default, 2,000 in the slow run."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jax import lax

from cnnjax import ops
from tests.helpers import reference
from tests.helpers.programs import quickly
from tests.ops.conv.conv_cases import Case, assert_sum_close


@st.composite
def cases(draw):
    """A convolution that fits, small enough to sum by definition."""

    def pair(low, high):
        return (draw(st.integers(low, high)), draw(st.integers(low, high)))

    groups = draw(st.sampled_from([1, 1, 2, 3, 5]))
    per_group = draw(st.integers(1, 4)) if draw(st.booleans()) else 1
    filters = groups * draw(st.integers(1, 4))
    window, strides, dilation = pair(1, 4), pair(1, 3), pair(1, 3)
    spans = [(k - 1) * d + 1 for k, d in zip(window, dilation, strict=True)]
    padding = draw(st.sampled_from(["SAME", "SAME_LOWER", "VALID", "pairs", "int"]))
    if padding == "pairs":
        padding = (pair(0, 4), pair(0, 4))
    elif padding == "int":
        padding = draw(st.integers(0, 3))
    size = []
    for axis, span in enumerate(spans):
        if isinstance(padding, str):
            least = span if padding == "VALID" else 1
        else:
            sides = (padding,) * 2 if isinstance(padding, int) else padding[axis]
            least = max(span - sum(sides), 1)
        size.append(draw(st.integers(least, least + 6)))
    return Case(
        (draw(st.integers(1, 3)), *size, groups * per_group),
        (*window, per_group, filters),
        strides,
        padding,
        dilation,
        groups,
    )


def _check(case, dtype):
    x, k, g = case.arrays(dtype)
    x64, k64, g64 = (np.asarray(a, np.float64) for a in (x, k, g))
    height, width, per_group, filters = case.kernel_shape

    @quickly
    def run(x, k, g):
        plain = lax.conv_general_dilated(
            x,
            k,
            case.strides,
            case.pads,
            rhs_dilation=case.dilation,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=case.groups,
        )
        return (
            ops.conv2d(x, k, **case.options),
            ops.conv2d_input_grad(g, k, x.shape, **case.options),
            ops.conv2d_kernel_grad(x, g, k.shape, **case.options),
            plain,
        )

    y, dx, dk, plain = run(x, k, g)
    assert (y.dtype, dx.dtype, dk.dtype) == (dtype,) * 3
    expected = (
        reference.conv2d(x64, k64, **case.reference),
        reference.conv2d_input_grad(g64, k64, x.shape, **case.reference),
        reference.conv2d_kernel_grad(x64, g64, k.shape, **case.reference),
    )
    terms = (
        height * width * per_group,
        height * width * filters // case.groups,
        g.shape[0] * g.shape[1] * g.shape[2],
    )
    for actual, wanted, n in zip((y, dx, dk), expected, terms, strict=True):
        # Few terms of a normal product can all be large: 16 covers six standard deviations.
        assert_sum_close(actual, wanted, max(n, 16))
    if dtype == jnp.float32:
        assert_sum_close(y, np.asarray(plain, np.float64), max(terms[0], 16), 2.0)


DTYPES = st.sampled_from([jnp.float32, jnp.float32, jnp.bfloat16, jnp.float16])
QUIET: dict[str, Any] = dict(
    deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


@settings(max_examples=30, **QUIET)
@given(cases(), DTYPES)
def test_random_convolutions_are_the_defining_sums(case, dtype):
    _check(case, dtype)


@pytest.mark.slow
@settings(max_examples=2000, **QUIET)
@given(cases(), DTYPES)
def test_two_thousand_random_convolutions_are_the_defining_sums(case, dtype):
    _check(case, dtype)


@pytest.mark.slow
@settings(max_examples=300, **QUIET)
@given(cases())
def test_random_convolutions_in_float64(case):
    with jax.enable_x64(True):
        _check(case, jnp.float64)
