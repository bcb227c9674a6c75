"""Sizes that no memory holds are refused before anything is built: XLA would end the process."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import ops
from cnnjax.ops import filters
from cnnjax.ops.checks import MOST_ELEMENTS, MOST_STEPS
from tests.ops.wrong_values import KERNEL, PLACES, X

BIG = MOST_STEPS
NHWC = ("NHWC", "HWIO", "NHWC")

CALLS = {
    "conv2d": [
        ("padding", lambda n: ops.conv2d(X, KERNEL, padding=n)),
        ("padding", lambda n: ops.conv2d(X, KERNEL, padding=((n, n), (n, n)), algorithm="fft")),
        ("dilation", lambda n: ops.conv2d(X, KERNEL, dilation=n)),
        ("strides", lambda n: ops.conv2d(X, KERNEL, strides=n)),
    ],
    "conv2d_transpose": [
        ("strides", lambda n: ops.conv2d_transpose(X, KERNEL, strides=n)),
        ("dilation", lambda n: ops.conv2d_transpose(X, KERNEL, dilation=n, padding="VALID")),
    ],
    "conv2d_input_grad": [
        ("input_shape", lambda n: ops.conv2d_input_grad(X, KERNEL, (2, n, n, 4))),
    ],
    "conv_general_dilated": [
        (
            "lhs_dilation",
            lambda n: ops.conv_general_dilated(
                X, KERNEL, (1, 1), ((0, 0), (0, 0)), lhs_dilation=(n, n), dimension_numbers=NHWC
            ),
        ),
        (
            "padding",
            lambda n: ops.conv_general_dilated(
                X, KERNEL, (1, 1), ((0, n), (n, 0)), dimension_numbers=NHWC
            ),
        ),
    ],
    "local_conv2d": [
        ("padding", lambda n: ops.local_conv2d(X, KERNEL, 3, padding=n)),
        ("dilation", lambda n: ops.local_conv2d(X, KERNEL, 3, dilation=n)),
    ],
    "im2col": [
        ("padding", lambda n: ops.im2col(X, 3, padding=n)),
        ("kernel_size", lambda n: ops.im2col(X, n)),
    ],
    "col2im": [("input_shape", lambda n: ops.col2im(X, (2, n, n, 4), 1))],
    "max_pool": [
        ("padding", lambda n: ops.max_pool(X, 2, padding=n)),
        ("window", lambda n: ops.max_pool(X, n, padding="SAME")),
        ("padding", lambda n: ops.max_pool(X, 2, padding=n, ceil_mode=True)),
        ("dilation", lambda n: ops.max_pool(X, 2, dilation=n, padding="SAME", strides=1)),
    ],
    "local_contrast_norm": [("window", lambda n: ops.local_contrast_norm(X, window=n))],
    "pad_images": [("pads", lambda n: ops.pad_images(X, ((n, 0), (0, n))))],
    "upsample_nearest": [("factor", lambda n: ops.upsample_nearest(X, n))],
    "upsample_bilinear": [("factor", lambda n: ops.upsample_bilinear(X, n))],
    "max_unpool": [("output_shape", lambda n: ops.max_unpool(X[:, :3, :3], PLACES, (2, n, n, 4)))],
    "box_kernel": [("size", filters.box_kernel)],
    "box_blur": [("size", lambda n: filters.box_blur(X, n))],
    "gaussian_kernel": [
        ("size", lambda n: filters.gaussian_kernel(1.0, n)),
        ("sigma", lambda n: filters.gaussian_kernel(float(n))),
    ],
    "gaussian_blur": [
        ("size", lambda n: filters.gaussian_blur(X, 1.0, size=n)),
        ("sigma", lambda n: filters.gaussian_blur(X, float(n))),
    ],
}


@pytest.mark.parametrize("size", [10**12, BIG, 10**9 + 1])
@pytest.mark.parametrize("name", CALLS)
def test_a_huge_size_is_refused_by_name_and_value(name, size):
    for argument, call in CALLS[name]:
        with pytest.raises(ValueError, match=f"^{name}: .*{argument}") as caught:
            call(size)
        assert str(size)[:9] in str(caught.value) or "elements" in str(caught.value)


@pytest.mark.parametrize("name", ["upsample_nearest", "pad_images"])
def test_an_op_that_memory_does_not_hold_is_named(name):
    # Larger than any machine that runs the tests, smaller than what is refused at once.
    calls = {
        "upsample_nearest": lambda: ops.upsample_nearest(X, 40_000),
        "pad_images": lambda: ops.pad_images(X, ((300_000, 0), (0, 300_000))),
    }
    with pytest.raises(jax.errors.JaxRuntimeError) as caught:
        jax.block_until_ready(calls[name]())
    assert str(caught.value).startswith(f"{name}: ")
    assert "ut of memory" in str(caught.value)
    assert "called with an array float32[2, 6, 6, 4]" in str(caught.value)


def test_shapes_alone_may_be_as_large_as_memory_might_be():
    x = jax.ShapeDtypeStruct((1, 2**19, 2**20, 1), jnp.float32)
    assert jax.eval_shape(lambda x: ops.upsample_nearest(x, (2, 1)), x).size == MOST_ELEMENTS
    with pytest.raises(ValueError, match="upsample_nearest: the output would have the shape"):
        jax.eval_shape(lambda x: ops.upsample_nearest(x, (1, 3)), x)


def test_a_long_window_is_counted_without_a_list_of_its_elements():
    x = jnp.arange(6.0).reshape(1, 3, 2, 1)
    window, padding = (10**6, 1), ((10**6, 0), (0, 0))
    mean = ops.avg_pool(x, window, strides=(10**7, 1), padding=padding, count_include_pad=False)
    assert mean.shape == (1, 1, 2, 1) and np.isnan(mean).all()


def test_a_stride_beyond_the_image_is_any_stride():
    for stride in (10**6, BIG):
        options: dict[str, Any] = dict(window=2, strides=stride, padding=1)
        y, places = ops.max_pool_with_argmax(X, **options)
        expected, found = ops.max_pool_with_argmax(X, 2, strides=9, padding=1)
        np.testing.assert_array_equal(y, expected)
        np.testing.assert_array_equal(places, found)
        gradient = jax.grad(lambda x, options=options: ops.max_pool(x, **options).sum())(X)
        assert gradient.sum() == y.size


def test_neighbors_beyond_the_channels_change_nothing():
    def gradient(size):
        norm = lambda x: ops.local_response_norm(x, size=size, alpha=0.1).sum()  # noqa: E731
        return jax.grad(norm)(X)

    np.testing.assert_allclose(gradient(10**9), gradient(9), rtol=1e-6)
    np.testing.assert_allclose(gradient(8), gradient(9), rtol=1e-6)


def test_many_neighbors_are_added_up_in_one_operation():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(1, 2, 2, 300)), jnp.float32)
    options: dict[str, Any] = dict(size=201, alpha=0.01, beta=0.75, k=1.0)
    wide = np.asarray(x, np.float64)
    scale = 1 + 0.01 * np.stack(
        [(wide[..., max(i - 100, 0) : i + 101] ** 2).sum(-1) for i in range(300)], -1
    )
    expected = wide * scale**-0.75
    norm = lambda x: ops.local_response_norm(x, **options)  # noqa: E731
    y, pull = jax.vjp(norm, x)
    np.testing.assert_allclose(y, expected, rtol=1e-5)
    native = jax.vjp(lambda x: ops.local_response_norm(x, **options, backward="native"), x)[1]
    np.testing.assert_allclose(pull(x)[0], native(x)[0], rtol=1e-4, atol=1e-5)


def test_large_windows_are_unrolled_and_rolled_back_by_looking_up():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 40, 45, 2)), jnp.float32)
    options: dict[str, Any] = dict(strides=(3, 2), padding=((1, 2), (0, 3)))
    rows = ops.im2col(x, (36, 33), **options)
    padded = np.pad(x, ((0, 0), (1, 2), (0, 3), (0, 0)))
    for i, j in ((0, 0), (1, 4), (2, 7)):
        window = padded[:, 3 * i : 3 * i + 36, 2 * j : 2 * j + 33]
        np.testing.assert_array_equal(rows[:, i, j], window.reshape(2, -1))
    counts = ops.col2im(jnp.ones_like(rows), (2, 40, 45, 2), (36, 33), **options)
    expected = np.zeros(padded.shape)
    for i, j in np.ndindex(rows.shape[1:3]):
        expected[:, 3 * i : 3 * i + 36, 2 * j : 2 * j + 33] += 1
    np.testing.assert_array_equal(counts, expected[:, 1:-2, :-3])


def test_large_kernels_and_strides_are_not_written_out():
    x, kernel = jnp.ones((1, 70, 70, 2)), jnp.ones((65, 65, 1, 2))
    np.testing.assert_allclose(ops.conv2d(x, kernel, padding="VALID", groups=2), 65.0**2)

    # A stride of a thousand pixels has a million phases.
    def depthwise(x):
        return ops.conv2d(x, kernel[:3, :3], strides=1000, groups=2).sum()

    def few_channels(x):
        return ops.conv2d(x, jnp.ones((3, 3, 2, 32)), strides=10**5, padding=1).sum()

    for loss, expected in ((depthwise, 2 * 9), (few_channels, 2 * 4 * 32)):
        value, gradient = jax.value_and_grad(loss)(x)
        assert value == gradient.sum() == expected


@pytest.mark.parametrize(("algorithm", "groups"), [("shift_add", 2), ("phases", 1)])
def test_a_forced_algorithm_refuses_what_it_would_write_out(algorithm, groups):
    x, kernel = jnp.ones((1, 70, 70, 2)), jnp.ones((3, 3, 2 // groups, 2))
    with pytest.raises(ValueError, match=f"algorithm '{algorithm}' needs .*1024"):
        ops.conv2d(x, kernel, strides=33, groups=groups, algorithm=algorithm)


@pytest.mark.parametrize("dtype", [jnp.int8, jnp.uint8, jnp.int16, jnp.int32])
def test_unpooling_takes_places_of_any_integer_dtype(dtype):
    y, places = jnp.ones((1, 1, 2, 1)), jnp.asarray([3, 100], dtype).reshape(1, 1, 2, 1)
    image = ops.max_unpool(y, places, (1, 200, 200, 1))
    assert np.flatnonzero(image).tolist() == [3, 100]
    gradient = jax.grad(lambda y: (3 * ops.max_unpool(y, places, (1, 200, 200, 1))).sum())(y)
    np.testing.assert_array_equal(gradient, 3 * y)


def test_fourier_transforms_of_an_empty_batch_are_empty():
    x = X[:0]
    assert ops.fft_conv2d(x, KERNEL, strides=2).shape == (0, 3, 3, 8)
    loss = lambda x, k: ops.fft_conv2d(x, k).sum()  # noqa: E731
    dx, dk = jax.grad(loss, (0, 1))(x, KERNEL)
    assert dx.shape == x.shape and not np.any(dk)
