"""nn.DepthwiseConv and nn.SeparableConv against sums in NumPy and flax's grouped convolution."""

from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import analysis, nn
from tests.helpers import reference
from tests.helpers.programs import quickly

IMAGES = jax.random.normal(jax.random.key(1), (2, 6, 7, 3))


def _drawn(module):
    shapes: Any = jax.eval_shape(module.init, jax.random.key(0), IMAGES)
    generator = np.random.default_rng(0)
    return jax.tree.map(lambda s: jnp.asarray(generator.normal(size=s.shape), s.dtype), shapes)


@pytest.mark.parametrize("multiplier", [1, 2])
def test_depthwise_is_flaxs_grouped_convolution(multiplier):
    ours: Any = nn.DepthwiseConv((3, 2), multiplier, strides=(2, 1), padding=1, kernel_dilation=2)
    theirs: Any = linen.Conv(
        3 * multiplier,
        (3, 2),
        strides=(2, 1),
        padding=1,
        kernel_dilation=2,
        feature_group_count=3,
    )
    variables = _drawn(theirs)
    shapes = jax.eval_shape(ours.init, jax.random.key(0), IMAGES)
    assert jax.tree.map(jnp.shape, shapes) == jax.tree.map(jnp.shape, variables)

    @quickly
    def both(variables, x):
        y, vjp = jax.vjp(ours.apply, variables, x)
        expected, flax_vjp = jax.vjp(theirs.apply, variables, x)
        g = jnp.cos(expected)
        return (y, vjp(g)), (expected, flax_vjp(g))

    found, expected = both(variables, IMAGES)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-4)


def test_depthwise_convolves_each_channel_by_itself():
    layer: Any = nn.DepthwiseConv((3, 3), 2, padding="VALID", padding_mode="reflect")
    variables = _drawn(layer)
    kernel, bias = (np.asarray(variables["params"][n]) for n in ("kernel", "bias"))
    y = quickly(layer.apply)(variables, IMAGES)
    for channel in range(3):
        own = slice(2 * channel, 2 * channel + 2)
        expected = reference.conv2d(IMAGES[..., channel : channel + 1], kernel[..., own])
        np.testing.assert_allclose(y[..., own], expected + bias[own], atol=1e-4)


def test_separable_is_the_convolution_by_the_product_of_its_kernels():
    layer: Any = nn.SeparableConv(5, (3, 2), 2, strides=2, padding=((1, 0), (0, 2)))
    variables = _drawn(layer)
    params = variables["params"]
    assert set(params["depthwise"]) == {"kernel"} and set(params["pointwise"]) == {"kernel", "bias"}
    depthwise = np.asarray(params["depthwise"]["kernel"], np.float64).reshape(3, 2, 3, 2)
    pointwise = np.asarray(params["pointwise"]["kernel"], np.float64).reshape(3, 2, 5)
    kernel = np.einsum("abcm,cmf->abcf", depthwise, pointwise)
    geometry: Any = {"strides": (2, 2), "pads": ((1, 0), (0, 2))}
    expected = reference.conv2d(IMAGES, kernel, **geometry) + np.asarray(
        params["pointwise"]["bias"]
    )

    @quickly
    def both(x, g):
        y, vjp = jax.vjp(lambda x: layer.apply(variables, x), x)
        return y, vjp(g)[0]

    y, found = both(IMAGES, jnp.cos(jnp.asarray(expected, jnp.float32)))
    np.testing.assert_allclose(y, expected, atol=1e-4)
    dx = reference.conv2d_input_grad(np.cos(expected), kernel, IMAGES.shape, **geometry)
    np.testing.assert_allclose(found, dx, atol=1e-3)


def test_multiply_adds_are_those_of_the_two_parts():
    count = analysis.multiply_adds(nn.SeparableConv(5, (3, 3)), (6, 7, 3))
    assert count == 6 * 7 * (3 * 3 * 3 + 3 * 5)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kernel_size": 3}, "kernel_size must be a pair"),
        ({"multiplier": 0}, "multiplier must be an int of at least 1, got 0"),
        ({"padding": "VALID", "kernel_size": (9, 3)}, "larger than the padded input"),
        ({"padding_mode": "mirror"}, "padding_mode must be one of"),
    ],
    ids=str,
)
def test_refuses_what_does_not_fit_in_the_layers_name(fields, message):
    fields = {"kernel_size": (3, 3), "name": "stem", **fields}
    for layer in (nn.DepthwiseConv(**fields), nn.SeparableConv(features=4, **fields)):
        with pytest.raises(ValueError, match=f"DepthwiseConv.*{message}"):
            jax.eval_shape(layer.init, jax.random.key(0), IMAGES)
