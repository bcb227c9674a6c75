"""conv2d_transpose: the lectures' 2x2 to 4x4, lax's, and the duality of its gradients."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from cnnjax import ops
from tests.helpers import reference
from tests.ops.conv.conv_cases import assert_sum_close


def _normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), jnp.float32)


def test_the_lectures_2x2_becomes_4x4():
    # A 3x3 kernel stamped two pixels apart on a 2x2 image, cut to 4x4 (one row and one column).
    x = jnp.array([[1.0, 2.0], [3.0, 4.0]])[None, :, :, None]
    k = jnp.arange(1.0, 10.0).reshape(3, 3, 1, 1)
    stamped = np.zeros((5, 5))
    for r in range(2):
        for c in range(2):
            stamped[2 * r : 2 * r + 3, 2 * c : 2 * c + 3] += x[0, r, c, 0] * k[..., 0, 0]
    whole = ops.conv2d_transpose(x, k, strides=2, padding="VALID")
    np.testing.assert_array_equal(whole[0, :, :, 0], stamped)
    y = ops.conv2d_transpose(x, k, strides=2)
    assert y.shape == (1, 4, 4, 1)
    np.testing.assert_array_equal(y[0, :, :, 0], stamped[:4, :4])
    # The same size by cutting one pixel all round and adding one at the end.
    y = ops.conv2d_transpose(x, k, strides=2, padding=1, output_padding=1)
    np.testing.assert_array_equal(y[0, :, :, 0], np.pad(stamped, ((0, 1), (0, 1)))[1:5, 1:5])


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize(("stride", "kernel"), [(1, 3), (2, 4), (2, 3), (3, 3), (2, 5)])
def test_equals_lax_with_the_kernel_flipped(stride, kernel, padding):
    x, k = _normal(0, 2, 5, 6, 4), _normal(1, kernel, kernel, 4, 6)

    def plain(x, k):
        return lax.conv_transpose(
            x, k[::-1, ::-1], (stride,) * 2, padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    y, vjp = jax.vjp(lambda x, k: ops.conv2d_transpose(x, k, strides=stride, padding=padding), x, k)
    expected, plain_vjp = jax.vjp(plain, x, k)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-4)
    g = _normal(2, *y.shape)
    for actual, wanted in zip(vjp(g), plain_vjp(g), strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("strides", "padding", "dilation", "groups", "output_padding"),
    [
        ((2, 3), ((1, 0), (0, 2)), (1, 1), 2, (1, 2)),
        ((2, 1), 1, (2, 3), 1, (1, 0)),
        ((1, 2), "SAME", (1, 2), 4, None),
    ],
)
def test_is_the_gradient_of_conv2d_and_its_gradients_are_conv2d(
    strides, padding, dilation, groups, output_padding
):
    x, k = _normal(0, 2, 4, 5, 8), _normal(1, 3, 2, 8 // groups, 4)
    options = dict(strides=strides, dilation=dilation, groups=groups)
    y, vjp = jax.vjp(
        lambda x, k: ops.conv2d_transpose(
            x, k, padding=padding, output_padding=output_padding, **options
        ),
        x,
        k,
    )
    if padding == "SAME":
        spans = [(n - 1) * d + 1 for n, d in zip((3, 2), dilation, strict=True)]
        pads = tuple(lax.padtype_to_pads(y.shape[1:3], spans, strides, "SAME"))
    else:
        pads = ((padding,) * 2,) * 2 if isinstance(padding, int) else padding
    # The kernel of the convolution whose gradient this is: channels and filters exchanged.
    turned = np.asarray(k).reshape(3, 2, 8 // groups, groups, 4 // groups)
    turned = turned.transpose(0, 1, 4, 3, 2).reshape(3, 2, 4 // groups, 8)
    by_definition: dict[str, Any] = dict(
        strides=strides, pads=pads, dilation=dilation, groups=groups
    )
    expected = reference.conv2d_input_grad(x, turned, y.shape, **by_definition)
    assert_sum_close(y, expected, 48)
    g = _normal(2, *y.shape)
    dx, dk = vjp(g)
    assert_sum_close(dx, reference.conv2d(g, turned, **by_definition), 24)
    step = np.random.default_rng(3).standard_normal(k.shape)
    moved = np.asarray(k, np.float64) + step
    moved = moved.reshape(3, 2, 8 // groups, groups, 4 // groups)
    moved = moved.transpose(0, 1, 4, 3, 2).reshape(3, 2, 4 // groups, 8)
    # Linear in the kernel, so that the difference is exact.
    change = reference.conv2d_input_grad(x, moved, y.shape, **by_definition) - expected
    np.testing.assert_allclose(np.sum(dk * step), np.sum(change * g), rtol=1e-4, atol=1e-3)


def test_bad_arguments_are_refused():
    x, k = jnp.ones((1, 4, 4, 3)), jnp.ones((3, 3, 3, 2))
    with pytest.raises(ValueError, match=r"output_padding \(2, 2\) must be less than the strides"):
        ops.conv2d_transpose(x, k, strides=2, output_padding=2)
    with pytest.raises(ValueError, match="cuts everything off, the output size would be"):
        ops.conv2d_transpose(x, k, padding=4)
    with pytest.raises(
        ValueError, match=r"conv2d_transpose: kernel shape .* takes 3 channels, but x"
    ):
        ops.conv2d_transpose(jnp.ones((1, 4, 4, 4)), k)
    with pytest.raises(TypeError, match="conv2d_transpose: the arrays must share one dtype"):
        ops.conv2d_transpose(x, k.astype(jnp.bfloat16))


def test_forward_mode_with_native_backward():
    x, k = _normal(0, 1, 3, 3, 2), _normal(1, 3, 3, 2, 2)
    _, tangent = jax.jvp(
        lambda x: ops.conv2d_transpose(x, k, strides=2, backward="native"), (x,), (x,)
    )
    np.testing.assert_allclose(tangent, ops.conv2d_transpose(x, k, strides=2), rtol=1e-5, atol=1e-5)
