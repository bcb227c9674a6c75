"""conv2d and its two gradients against the defining sums, finite differences and the lectures."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import ops
from tests.helpers import reference
from tests.helpers.programs import quickly
from tests.ops.conv.conv_cases import CASES, assert_sum_close


def _value_and_gradients(options, x, k, g):
    @quickly
    def run(x, k, g):
        y, vjp = jax.vjp(lambda x, k: ops.conv2d(x, k, **options), x, k)
        return y, *vjp(g)

    return run(x, k, g)


def _named_gradients(options, x, k, g):
    @quickly
    def run(x, k, g):
        return (
            ops.conv2d_input_grad(g, k, x.shape, **options),
            ops.conv2d_kernel_grad(x, g, k.shape, **options),
        )

    return run(x, k, g)


def _terms(case):
    height, width, channels, filters = case.kernel_shape
    forward = height * width * channels
    rows, columns = case.arrays()[2].shape[1:3]
    return forward, height * width * filters // case.groups, case.input_shape[0] * rows * columns


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.float16], ids=str)
def test_value_and_gradients_are_the_defining_sums(name, dtype):
    case = CASES[name]
    x, k, g = case.arrays(dtype)
    x64, k64, g64 = (np.asarray(a, np.float64) for a in (x, k, g))
    forward, to_input, to_kernel = _terms(case)
    y, dx, dk = _value_and_gradients(case.options, x, k, g)
    assert (y.dtype, dx.dtype, dk.dtype) == (dtype,) * 3
    assert_sum_close(y, reference.conv2d(x64, k64, **case.reference), forward)
    assert_sum_close(dx, reference.conv2d_input_grad(g64, k64, x.shape, **case.reference), to_input)
    assert_sum_close(
        dk, reference.conv2d_kernel_grad(x64, g64, k.shape, **case.reference), to_kernel
    )


@pytest.mark.parametrize("name", CASES)
def test_named_gradients_are_what_grad_computes(name):
    case = CASES[name]
    x, k, g = case.arrays()
    _, *expected = _value_and_gradients(case.options, x, k, g)
    for named, gradient in zip(_named_gradients(case.options, x, k, g), expected, strict=True):
        np.testing.assert_array_equal(named, gradient)


@pytest.mark.parametrize("name", ["dilated_strided", "asymmetric", "resnext_groups_stride_2"])
def test_gradients_are_finite_differences(name):
    case = CASES[name]
    with jax.enable_x64(True):
        x, k, g = case.arrays(jnp.float64)
        u, v, _ = case.arrays(jnp.float64, seed=1)

        def loss(x, k):
            return jnp.sum(g * jnp.sin(ops.conv2d(x, k, **case.options)))

        dx, dk = quickly(jax.grad(loss, (0, 1)))(x, k)
        loss = quickly(loss)
        step = 1e-5
        numeric = (loss(x + step * u, k + step * v) - loss(x - step * u, k - step * v)) / (2 * step)
        np.testing.assert_allclose(jnp.sum(dx * u) + jnp.sum(dk * v), numeric, rtol=1e-8)


@pytest.mark.parametrize("mode", ["replicate", "reflect", "circular", 0.5])
@pytest.mark.parametrize("padding", [1, ((2, 0), (1, 3))])
def test_padding_modes_are_numpys(mode, padding):
    case = CASES["resnet_3x3_stride_2"]
    x, k, _ = case.arrays()
    pads = ((1, 1), (1, 1)) if padding == 1 else padding
    numpy_mode: Any = {"replicate": "edge", "circular": "wrap"}.get(mode, mode)
    widths = ((0, 0), *pads, (0, 0))
    padded = (
        np.pad(x, widths, numpy_mode)
        if isinstance(mode, str)
        else np.pad(x, widths, constant_values=mode)
    )
    options: dict[str, Any] = dict(strides=2, padding=padding, padding_mode=mode)
    y = quickly(lambda x, k: ops.conv2d(x, k, **options))(x, k)
    assert_sum_close(y, reference.conv2d(padded, k, (2, 2)), 72)
    _, dx, dk = _value_and_gradients(options, x, k, jnp.ones_like(y))
    named = _named_gradients(options, x, k, jnp.ones_like(y))
    np.testing.assert_array_equal(named[0], dx)
    np.testing.assert_array_equal(named[1], dk)
    step = np.random.default_rng(3).standard_normal(x.shape).astype(np.float32)
    change = jnp.sum(ops.conv2d(x + step, k, **options)) - jnp.sum(ops.conv2d(x, k, **options))
    if isinstance(mode, str):  # Linear in x: the difference is the gradient's.
        np.testing.assert_allclose(np.sum(dx * step), change, rtol=2e-4)


def test_convolve2d_flips_the_kernel():
    x = jnp.zeros((1, 5, 5, 1)).at[0, 2, 2, 0].set(1.0)
    k = jnp.arange(9.0).reshape(3, 3, 1, 1)
    # A point through a true convolution is the kernel itself; through a correlation, its mirror.
    np.testing.assert_array_equal(ops.convolve2d(x, k)[0, 1:4, 1:4, 0], k[..., 0, 0])
    np.testing.assert_array_equal(ops.conv2d(x, k)[0, 1:4, 1:4, 0], k[::-1, ::-1, 0, 0])


def test_empty_batch_has_empty_output_and_zero_kernel_gradient():
    k = jnp.ones((3, 3, 2, 4))
    y, vjp = jax.vjp(ops.conv2d, jnp.zeros((0, 5, 5, 2)), k)
    assert y.shape == (0, 5, 5, 4)
    dx, dk = vjp(y)
    assert dx.shape == (0, 5, 5, 2)
    np.testing.assert_array_equal(dk, jnp.zeros_like(k))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(x=(5, 5, 4)), "x must have 4 dimensions"),
        (dict(kernel=(3, 4, 4)), "kernel must have 4 dimensions"),
        (dict(groups=3), "groups=3 must divide the 4 channels of x and the 6 filters"),
        (dict(kernel=(3, 3, 3, 6)), "takes 3 channels, but x has 4; .* channels / groups = 4"),
        (dict(groups=0), "groups must be an int of at least 1, got 0"),
        (dict(kernel=(0, 3, 4, 6)), "the kernel is empty"),
        (dict(strides=0), "strides must be an int or a pair"),
        (dict(dilation=(1, 1, 1)), "dilation must be an int or a pair"),
        (dict(padding="FULL"), "padding must be one of 'SAME'"),
        (dict(kernel=(9, 9, 4, 6), padding="VALID"), "is larger than the padded input"),
        (dict(padding_mode="mirror"), "padding_mode must be one of 'zeros'"),
        (dict(padding_mode="reflect", padding=7), "at most 4 pixels"),
        (dict(backward="jax"), "backward must be 'ours' or 'native', got 'jax'"),
    ],
)
def test_bad_arguments_are_refused_by_name(changes, message):
    changes = dict(changes)
    x = jnp.ones(changes.pop("x", (1, 5, 5, 4)))
    k = jnp.ones(changes.pop("kernel", (3, 3, 4, 6)))
    with pytest.raises(ValueError, match=message):
        ops.conv2d(x, k, **changes)


def test_mixed_or_integer_dtypes_are_refused():
    x, k = jnp.ones((1, 5, 5, 4)), jnp.ones((3, 3, 4, 6))
    with pytest.raises(TypeError, match="x float32, kernel bfloat16; cast one"):
        ops.conv2d(x, k.astype(jnp.bfloat16))
    with pytest.raises(TypeError, match="conv2d: the arrays must share one dtype"):
        ops.conv2d(x.astype(jnp.int32), k.astype(jnp.int32))


def test_gradients_refuse_an_upstream_gradient_of_the_wrong_shape():
    x, k, g = jnp.ones((1, 5, 5, 4)), jnp.ones((3, 3, 4, 6)), jnp.ones((1, 4, 5, 6))
    with pytest.raises(ValueError, match=r"grad must have the shape of the output, \(1, 5, 5, 6\)"):
        ops.conv2d_input_grad(g, k, (1, 5, 5, 4))
    with pytest.raises(ValueError, match=r"conv2d_kernel_grad: grad must have the shape"):
        ops.conv2d_kernel_grad(x, g, (3, 3, 4, 6))
