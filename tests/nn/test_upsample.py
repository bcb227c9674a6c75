"""nn.Upsample, and nn.MaxUnpool with the switches of nn.MaxPoolWithSwitches."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import nn
from tests.helpers.programs import quickly

IMAGES = jax.random.normal(jax.random.key(0), (2, 5, 7, 3))


def test_nearest_repeats_pixels_and_bilinear_interpolates_a_plane():
    layer: Any = nn.Upsample((2, 3))
    np.testing.assert_array_equal(
        layer.apply({}, IMAGES), np.asarray(IMAGES).repeat(2, axis=1).repeat(3, axis=2)
    )
    rows, columns = np.arange(5.0)[:, None], np.arange(7.0)[None, :]
    plane = jnp.asarray((rows - 2 * columns)[None, :, :, None], jnp.float32)
    y: Any = nn.Upsample((2, 3), "bilinear").apply({}, plane)
    # Beyond the outermost centers the value is theirs.
    rows = np.clip((np.arange(10) + 0.5) / 2 - 0.5, 0, 4)[:, None]
    columns = np.clip((np.arange(21) + 0.5) / 3 - 0.5, 0, 6)[None, :]
    np.testing.assert_allclose(y[0, :, :, 0], rows - 2 * columns, atol=1e-4)


@pytest.mark.parametrize("method", ["nearest", "bilinear"])
def test_gradients_of_upsampling_are_its_adjoint(method):
    layer: Any = nn.Upsample((2, 3), method)
    g = np.random.default_rng(1).normal(size=(2, 10, 21, 3)).astype(np.float32)
    # The matrix of the map, column by column, in float64.
    weights = quickly(jax.jacobian(lambda x: layer.apply({}, x)))(IMAGES[:1, :, :, :1])
    weights = np.asarray(weights)
    weights = weights.reshape(10 * 21, 5 * 7).astype(np.float64)
    flat = np.asarray(g, np.float64).reshape(2, 210, 3)
    expected = np.einsum("yx,byc->bxc", weights, flat).reshape(IMAGES.shape)
    found = quickly(lambda g: jax.vjp(lambda x: layer.apply({}, x), IMAGES)[1](g)[0])(g)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-6)


def test_unpooling_puts_values_where_the_maxima_were_at_odd_sizes():
    pool: Any = nn.MaxPoolWithSwitches(2, ceil_mode=True)
    plain: Any = nn.MaxPool(2, ceil_mode=True).apply({}, IMAGES)

    @quickly
    def restore(x):
        y, switches = pool.apply({}, x)
        return y, nn.MaxUnpool().apply({}, jnp.exp(y), switches)

    y, restored = restore(IMAGES)
    np.testing.assert_array_equal(y, plain)
    x = np.asarray(IMAGES)
    expected = np.zeros_like(x)
    for n, i, j, c in np.ndindex(2, 3, 4, 3):
        window = x[n, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2, c]
        a, b = np.unravel_index(window.argmax(), window.shape)
        expected[n, 2 * i + a, 2 * j + b, c] = np.exp(window[a, b])
    np.testing.assert_allclose(restored, expected, rtol=1e-6)


def test_gradients_flow_through_pool_and_unpool_to_the_maxima_alone():
    def loss(x):
        y, switches = nn.MaxPoolWithSwitches(3, 3).apply({}, x)
        restored: Any = nn.MaxUnpool().apply({}, y, switches)
        return jnp.sum(jnp.sin(restored))

    gradient = quickly(jax.grad(loss))(IMAGES)
    x = np.asarray(IMAGES)
    kept = np.zeros(x.shape, bool)
    for n, i, j, c in np.ndindex(2, 1, 2, 3):
        window = x[n, 3 * i : 3 * i + 3, 3 * j : 3 * j + 3, c]
        a, b = np.unravel_index(window.argmax(), window.shape)
        kept[n, 3 * i + a, 3 * j + b, c] = True
    np.testing.assert_allclose(gradient, np.where(kept, np.cos(x), 0), atol=1e-6)


def test_switches_pass_through_transformations():
    pool: Any = nn.MaxPoolWithSwitches(2)
    _, switches = quickly(lambda x: pool.apply({}, x))(IMAGES)
    assert switches.size == (5, 7) and switches.places.dtype == jnp.int32

    def one_by_one(x):
        y, mapped = jax.vmap(lambda x: pool.apply({}, x[None]))(x)
        return jax.vmap(lambda y, s: nn.MaxUnpool().apply({}, y, s))(y, mapped)

    assert jax.eval_shape(one_by_one, IMAGES).shape == (2, 1, 5, 7, 3)


def test_what_does_not_fit_is_refused_in_the_layers_name():
    with pytest.raises(ValueError, match=r"Upsample up: method must be one of 'nearest'.*'cubic'"):
        nn.Upsample(2, "cubic", name="up").apply({}, IMAGES)  # pyright: ignore
    with pytest.raises(ValueError, match="Upsample up: upsample_nearest: factor must be"):
        nn.Upsample(0, name="up").apply({}, IMAGES)
    with pytest.raises(ValueError, match="MaxUnpool : switches are a NoneType; give the second"):
        nn.MaxUnpool().apply({}, IMAGES, None)
    result: Any = nn.MaxPoolWithSwitches(2).apply({}, IMAGES)
    with pytest.raises(ValueError, match=r"x has the shape \(2, 5, 7, 3\), but the switches are o"):
        nn.MaxUnpool(name="unpool").apply({}, IMAGES, result[1])
