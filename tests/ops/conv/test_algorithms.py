"""Each formulation of convolution computes the same sums, in every pass that it has."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import ops
from cnnjax.ops.conv import dispatch
from cnnjax.ops.conv import spec as conv_spec
from tests.helpers import reference
from tests.ops.conv.conv_cases import CASES, Case, assert_sum_close

ODD = {
    **{name: CASES[name] for name in ("asymmetric", "dilated_strided", "stride_beyond_kernel")},
    **{name: CASES[name] for name in ("resnet_conv1", "bottleneck_1x1", "resnet_shortcut")},
    **{name: CASES[name] for name in ("resnext_groups_stride_2", "depthwise_dilated_strided")},
    **{name: CASES[name] for name in ("one_pixel", "kernel_larger_than_input", "small_map")},
    "uneven_stride": Case((2, 10, 11, 3), (5, 4, 3, 4), (3, 2), ((2, 1), (0, 3))),
    "whole_image": CASES["kernel_as_large_as_input"],
    "one_channel": Case((2, 9, 8, 1), (3, 5, 1, 4), (1, 2), ((1, 2), (2, 0))),
}


def _spec(case):
    x, k, _ = case.input_shape, case.kernel_shape, None
    return conv_spec.parse("test", x, k, **case.options)


def _runs():
    for algorithm, module in dispatch.ALGORITHMS.items():
        for name, case in ODD.items():
            if algorithm != "direct" and not module.refuses(
                _spec(case), case.input_shape, case.kernel_shape
            ):
                yield pytest.param(algorithm, case, id=f"{algorithm}-{name}")


@pytest.mark.parametrize(("algorithm", "case"), list(_runs()))
def test_every_pass_is_the_defining_sum(algorithm, case):
    module, spec = dispatch.ALGORITHMS[algorithm], _spec(case)
    x, k, g = case.arrays()
    height, width, channels, filters = case.kernel_shape
    # FFTs round relative to the largest number of the transform.
    slack = 8.0 if algorithm == "fft" else 1.0
    passes = {
        "forward": (
            (x, k), reference.conv2d(x, k, **case.reference), height * width * channels,
        ),
        "input_grad": (
            (x.shape[1:3], g, k),
            reference.conv2d_input_grad(g, k, x.shape, **case.reference),
            height * width * filters // case.groups,
        ),
        "kernel_grad": (
            (k.shape[:2], x, g),
            reference.conv2d_kernel_grad(x, g, k.shape, **case.reference),
            x.shape[0] * g.shape[1] * g.shape[2],
        ),
    }  # fmt: skip
    found = 0
    for name, (args, expected, terms) in passes.items():
        if hasattr(module, name):
            found += 1
            static = [a for a in args if isinstance(a, tuple)]
            arrays = [a for a in args if not isinstance(a, tuple)]
            run = jax.jit(lambda *arrays, n=name, s=static: getattr(module, n)(spec, *s, *arrays))
            assert_sum_close(run(*arrays), expected, max(terms, 4), slack)
    assert found


@pytest.mark.parametrize("algorithm", ["im2col", "fft", "matmul", "shift_add", "block_diagonal"])
def test_half_types_are_summed_in_float32(algorithm):
    case = {
        "matmul": Case((1, 3, 3, 1024), (1, 1, 1024, 2)),
        "shift_add": Case((1, 40, 40, 1), (31, 31, 1, 1)),
        "block_diagonal": Case((1, 3, 3, 512), (3, 3, 256, 2), groups=2),
    }.get(algorithm, Case((1, 3, 3, 128), (3, 3, 128, 2)))
    x, k, _ = case.arrays(jnp.bfloat16)
    y = ops.conv2d(x, k, algorithm=algorithm, **case.options)
    assert y.dtype == jnp.bfloat16
    expected = reference.conv2d(
        np.asarray(x, np.float64), np.asarray(k, np.float64), **case.reference
    )
    terms = int(np.prod(case.kernel_shape[:3]))
    assert_sum_close(y, expected, terms, 8.0 if algorithm == "fft" else 1.0)


def test_forced_algorithm_is_the_one_that_runs():
    case = CASES["resnet_3x3"]
    x, k, _ = case.arrays()
    with_fft = str(jax.make_jaxpr(lambda x, k: ops.conv2d(x, k, algorithm="fft"))(x, k))
    assert "fft" in with_fft and "conv_general_dilated" not in with_fft
    with_im2col = str(
        jax.make_jaxpr(jax.grad(lambda x: ops.conv2d(x, k, algorithm="im2col").sum()))(x)
    )
    assert "dot_general" in with_im2col and "conv_general_dilated" not in with_im2col
    np.testing.assert_array_equal(ops.fft_conv2d(x, k), ops.conv2d(x, k, algorithm="fft"))


@pytest.mark.parametrize("algorithm", ["im2col", "fft"])
def test_gradients_of_a_forced_algorithm(algorithm):
    case = CASES["resnext_groups_stride_2"]
    x, k, g = case.arrays()
    _, vjp = jax.vjp(lambda x, k: ops.conv2d(x, k, algorithm=algorithm, **case.options), x, k)
    dx, dk = vjp(g)
    assert_sum_close(dx, reference.conv2d_input_grad(g, k, x.shape, **case.reference), 72, 8.0)
    assert_sum_close(dk, reference.conv2d_kernel_grad(x, g, k.shape, **case.reference), 72, 8.0)


def test_depthwise_gradients_in_float64():
    case = Case((2, 7, 6, 3), (3, 2, 1, 6), strides=(2, 1), groups=3)
    with jax.enable_x64(True):
        x, k, g = (jnp.asarray(a, jnp.float64) for a in case.arrays())

        def product(k):
            return (ops.conv2d(x, k, algorithm="shift_add", **case.options) * g).sum()

        dk = jax.grad(product)(k)
        assert dk.dtype == jnp.float64
        expected = reference.conv2d_kernel_grad(x, g, k.shape, **case.reference)
        np.testing.assert_allclose(dk, expected, rtol=1e-12, atol=1e-12)


def test_unknown_or_unfit_algorithms_are_refused():
    x, k = jnp.ones((1, 5, 5, 4)), jnp.ones((3, 3, 4, 6))
    with pytest.raises(
        ValueError, match=r"algorithm must be None or one of 'direct', .* got 'gemm'"
    ):
        ops.conv2d(x, k, algorithm="gemm")
    with pytest.raises(ValueError, match="algorithm 'matmul' needs one group and no padding"):
        ops.conv2d(x, k, algorithm="matmul")


def test_im2col_rows_are_the_windows_and_col2im_is_its_adjoint():
    shape = (2, 5, 6, 3)
    x = jnp.arange(2 * 5 * 6 * 3, dtype=jnp.float32).reshape(shape)
    options: dict[str, Any] = dict(strides=(2, 1), padding=((1, 0), (0, 2)), dilation=(1, 2))
    columns = ops.im2col(x, (3, 2), **options)
    padded = np.pad(x, ((0, 0), (1, 0), (0, 2), (0, 0)))
    assert columns.shape == (2, 2, 6, 18)
    np.testing.assert_array_equal(columns[1, 1, 4], padded[1, 2:5, [4, 6]].swapaxes(0, 1).ravel())
    other = jnp.sin(columns)
    back = ops.col2im(other, shape, (3, 2), **options)
    np.testing.assert_allclose(jnp.vdot(columns, other), jnp.vdot(x, back), rtol=1e-5)
    kernel = jnp.cos(jnp.arange(18.0 * 4).reshape(3, 2, 3, 4))
    np.testing.assert_allclose(
        columns @ kernel.reshape(-1, 4), ops.conv2d(x, kernel, **options), rtol=1e-4, atol=1e-3
    )
    with pytest.raises(ValueError, match=r"col2im: columns must have the shape \(2, 2, 6, 18\)"):
        ops.col2im(columns[:1], shape, (3, 2), **options)


def test_separable_kernels_are_exact_and_others_return_their_error():
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.standard_normal((2, 9, 8, 3)), jnp.float32)
    outer = np.einsum("af,bf->abf", rng.standard_normal((5, 6)), rng.standard_normal((3, 6)))
    exact = jnp.asarray(outer[:, :, None], jnp.float32)
    options: dict[str, Any] = dict(strides=(2, 1), padding=((1, 2), (0, 1)), dilation=(1, 2))
    for mode in ("zeros", "replicate"):
        y, error = ops.separable_conv2d(x, exact, padding_mode=mode, **options)
        expected = ops.conv2d(x, exact, groups=3, padding_mode=mode, **options)
        np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-4)
        np.testing.assert_array_less(error, 1e-5)
    # diag(3, 4) has the singular values 4 and 3: the best rank-1 form leaves 3 of 5.
    kernel = jnp.diag(jnp.array([3.0, 4.0]))[:, :, None, None]
    column, row, error = ops.separate_kernel(kernel)
    np.testing.assert_allclose(error, [0.6], rtol=1e-6)
    np.testing.assert_allclose((column * row)[:, :, 0, 0], np.diag([0.0, 4.0]), atol=1e-6)
    with pytest.raises(ValueError, match="a sum over channels does not separate"):
        ops.separate_kernel(jnp.ones((3, 3, 2, 1)))


def test_specifications_compare_by_value():
    spec = _spec(CASES["asymmetric"])
    assert hash(spec) == hash(dataclasses.replace(spec)) and spec == dataclasses.replace(spec)
