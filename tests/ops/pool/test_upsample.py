"""Upsampling and unpooling: the ways back from a pooling."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import ops


def _images(shape=(2, 6, 6, 3)):
    return jnp.asarray(np.random.default_rng(0).normal(size=shape), jnp.float32)


def test_argmax_is_where_the_maxima_are():
    x = _images()
    y, argmax = ops.max_pool_with_argmax(x, 3, strides=2, padding=1)
    np.testing.assert_array_equal(y, ops.max_pool(x, 3, strides=2, padding=1))
    flat = np.asarray(x).reshape(2, 36, 3)
    places = np.asarray(argmax).reshape(2, -1, 3)
    np.testing.assert_array_equal(np.take_along_axis(flat, places, 1).reshape(y.shape), y)


def test_argmax_of_a_window_wholly_in_padding_is_nowhere():
    y, argmax = ops.max_pool_with_argmax(jnp.ones((1, 1, 1, 1)), 1, padding=1)
    np.testing.assert_array_equal(argmax[0, :, :, 0], [[-1, -1, -1], [-1, 0, -1], [-1, -1, -1]])
    unpooled = ops.max_unpool(y, argmax, (1, 1, 1, 1))
    np.testing.assert_array_equal(unpooled, jnp.ones((1, 1, 1, 1)))


def test_pooling_with_argmax_has_max_poolings_gradient():
    x = _images()
    loss = lambda pool: jax.grad(lambda x: jnp.sum(pool(x) ** 2))(x)  # noqa: E731
    np.testing.assert_array_equal(
        loss(lambda x: ops.max_pool_with_argmax(x, 3, strides=2)[0]),
        loss(lambda x: ops.max_pool(x, 3, strides=2)),
    )


def test_unpooling_puts_maxima_back_where_they_were():
    x = _images()
    y, argmax = ops.max_pool_with_argmax(x, 2)
    shape: Any = x.shape
    unpooled = ops.max_unpool(y, argmax, shape)
    # What is kept is each block's maximum, in its place; the rest is zero.
    blocks = np.asarray(x).reshape(2, 3, 2, 3, 2, 3)
    kept = np.where(blocks == blocks.max((2, 4), keepdims=True), blocks, 0)
    np.testing.assert_array_equal(unpooled, kept.reshape(x.shape))
    weights = jnp.cos(x)
    dy = jax.grad(lambda y: jnp.sum(ops.max_unpool(y, argmax, shape) * weights))(y)
    taken = np.take_along_axis(
        np.asarray(weights).reshape(2, 36, 3), np.asarray(argmax).reshape(2, 9, 3), 1
    )
    np.testing.assert_array_equal(dy, taken.reshape(y.shape))


def test_unpooling_refuses_what_does_not_fit():
    y, argmax = ops.max_pool_with_argmax(_images(), 2)
    with pytest.raises(ValueError, match="argmax must be integers of y's shape"):
        ops.max_unpool(y, argmax[:1], (2, 6, 6, 3))
    with pytest.raises(ValueError, match="output_shape must be"):
        ops.max_unpool(y, argmax, (2, 6, 6, 4))


def test_nearest_upsampling_repeats_and_sums_back():
    x = _images()
    y = ops.upsample_nearest(x, (2, 3))
    np.testing.assert_array_equal(y, np.asarray(x).repeat(2, axis=1).repeat(3, axis=2))
    g = _images(y.shape)
    _, vjp = jax.vjp(lambda x: ops.upsample_nearest(x, (2, 3)), x)
    blocks = np.asarray(g, np.float64).reshape(2, 6, 2, 6, 3, 3)
    np.testing.assert_allclose(vjp(g)[0], blocks.sum((2, 4)), rtol=1e-5, atol=1e-5)


def test_bilinear_upsampling_interpolates_between_pixel_centers():
    row = jnp.array([0.0, 4.0]).reshape(1, 1, 2, 1)
    y = ops.upsample_bilinear(row, (1, 2))
    # Positions -1/4, 1/4, 3/4, 5/4 between the centers 0 and 1; the ends keep their value.
    np.testing.assert_allclose(y[0, 0, :, 0], [0, 1, 3, 4], atol=1e-6)
    half = ops.upsample_bilinear(row.astype(jnp.bfloat16), 2)
    assert half.dtype == jnp.bfloat16
    with pytest.raises(ValueError, match="factor must be"):
        ops.upsample_bilinear(row, 0)
