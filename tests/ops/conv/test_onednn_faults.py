"""Convolutions whose calls of oneDNN are wrong: they are written, or compiled, in another way."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import ops
from cnnjax.ops.conv import onednn
from tests.helpers import reference
from tests.ops.conv.conv_cases import Case

# One channel, one output column and a stride: the first has one by itself, the others where columns
# are computed together, and the last has a window that lies in the padding.
ONE_COLUMN = {
    "forward": Case((2, 9, 5, 1), (3, 5, 1, 8), strides=(1, 2)),
    "stride_beyond_the_kernel": Case((2, 8, 3, 1), (5, 2, 1, 1), strides=(1, 4)),
    "dilated": Case(
        (1, 4, 4, 1), (2, 5, 1, 2), strides=(1, 4), padding=((1, 1), (1, 1)), dilation=(2, 1)
    ),
    "one_filter": Case((8, 6, 6, 2), (3, 3, 2, 1), padding=1),
    "one_filter_of_many_taps": Case((2, 13, 6, 4), (4, 4, 4, 1), padding=2),
    "rows": Case((2, 5, 9, 1), (5, 3, 1, 8), strides=(2, 1)),
    "in_the_padding": Case((2, 3, 1, 1), (1, 1, 1, 4), strides=(1, 3), padding=((0, 0), (1, 1))),
}


@pytest.mark.parametrize("name", ONE_COLUMN)
def test_one_channel_and_one_output_column_are_right(name):
    case = ONE_COLUMN[name]
    x, k, g = case.arrays()

    def passes(x, k, g):
        y, pull = jax.vjp(lambda x, k: ops.conv2d(x, k, **case.options), x, k)
        return y, *pull(g)

    x64, k64, g64 = (np.asarray(array, np.float64) for array in (x, k, g))
    exact = (
        reference.conv2d(x64, k64, **case.reference),
        reference.conv2d_input_grad(g64, k64, x.shape, **case.reference),
        reference.conv2d_kernel_grad(x64, g64, k.shape, **case.reference),
    )
    # Several programs: what such a call left out was read from memory that others had used.
    for function in (ops.jit(passes), onednn.compiled(passes, x, k, g)):
        for found, wanted in zip(function(x, k, g), exact, strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-4)


def test_a_convolution_of_another_origin_that_would_go_wrong_is_computed_without_calls():
    x, k, _ = ONE_COLUMN["forward"].arrays()

    def convolve(x, k, how):
        y = jax.lax.conv_general_dilated(
            x, k, (1, 2), how, dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        return {"y": y, "none": None}

    jitted = ops.jit(convolve, static_argnums=2)
    exact = reference.conv2d(*(np.asarray(array, np.float64) for array in (x, k)), strides=(1, 2))
    for _ in range(2):
        result = jitted(x, k, "VALID")
        assert result["none"] is None
        np.testing.assert_allclose(result["y"], exact, rtol=1e-5, atol=1e-4)
    program = onednn.compiled(lambda x, k: convolve(x, k, "VALID")["y"], x, k)
    assert "__onednn" not in (program.as_text() or "")
    np.testing.assert_allclose(program(x, k), exact, rtol=1e-5, atol=1e-4)


@pytest.mark.skipif(not onednn.is_there(), reason="this jaxlib hands no convolution to oneDNN")
def test_one_that_goes_right_is_a_call():
    x, k = jnp.ones((2, 9, 8, 1)), jnp.ones((3, 5, 1, 8))
    program = onednn.compiled(lambda x, k: ops.conv2d(x, k, strides=(1, 2)), x, k)
    assert "__onednn$convolution" in (program.as_text() or "")
