"""nn.LocallyConnected: flax.linen.ConvLocal's fields, parameters and values."""

import dataclasses
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import analysis, nn
from tests.helpers.programs import quickly

IMAGES = jax.random.normal(jax.random.key(1), (2, 6, 7, 3))


def test_has_every_field_of_flax_with_the_same_default():
    ours = {f.name: f.default for f in dataclasses.fields(nn.LocallyConnected)}
    for field in dataclasses.fields(linen.ConvLocal):
        assert ours[field.name] == field.default, field.name


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"strides": (2, 1), "padding": "VALID", "use_bias": False},
        {"strides": 2, "padding": ((1, 0), (2, 1)), "kernel_dilation": (1, 2)},
        {"padding": 1, "mask": jnp.tril(jnp.ones((18, 4)))[None, None] * jnp.ones((6, 8, 1, 1))},
    ],
    ids=str,
)
def test_agrees_with_flax_from_the_same_parameters(fields):
    theirs: Any = linen.ConvLocal(4, (3, 2), **fields)
    ours: Any = nn.LocallyConnected(4, (3, 2), **fields)
    shapes: Any = jax.eval_shape(theirs.init, jax.random.key(0), IMAGES)
    generator = np.random.default_rng(0)
    variables = jax.tree.map(lambda s: jnp.asarray(generator.normal(size=s.shape), s.dtype), shapes)
    own = jax.eval_shape(ours.init, jax.random.key(0), IMAGES)
    assert jax.tree.map(jnp.shape, own) == jax.tree.map(jnp.shape, variables)

    @quickly
    def both(variables, x):
        y, vjp = jax.vjp(ours.apply, variables, x)
        expected, flax_vjp = jax.vjp(theirs.apply, variables, x)
        g = jnp.cos(expected)
        return (y, vjp(g)), (expected, flax_vjp(g))

    found, expected = both(variables, IMAGES)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-4)


def test_each_unit_starts_with_the_variance_of_its_own_fan_in():
    layer = nn.LocallyConnected(8, (3, 3), kernel_init=linen.initializers.he_normal())
    kernel: Any = layer.init(jax.random.key(0), IMAGES)["params"]["kernel"]
    assert kernel.shape == (6, 7, 27, 8)
    assert float(kernel.std()) == pytest.approx((2 / 27) ** 0.5, rel=0.03)
    # No two pixels start equal.
    assert len(np.unique(np.asarray(kernel).reshape(42, -1)[:, 0])) == 42


def test_any_number_of_batch_dimensions_half_types_and_multiply_adds():
    layer: Any = nn.LocallyConnected(4, (3, 3), dtype=jnp.bfloat16)
    y, variables = layer.init_with_output(jax.random.key(0), IMAGES)
    assert y.dtype == jnp.bfloat16
    assert {p.dtype for p in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    np.testing.assert_array_equal(layer.apply(variables, IMAGES[0]), y[0])
    assert analysis.multiply_adds(layer, (6, 7, 3)) == 6 * 7 * 27 * 4


def test_native_backward_allows_forward_mode():
    layer: Any = nn.LocallyConnected(4, (3, 3), backward="native", padding_mode="replicate")
    variables = layer.init(jax.random.key(0), IMAGES)
    _, tangent = jax.jvp(lambda x: layer.apply(variables, x), (IMAGES,), (IMAGES,))
    # Linear in the image: without biases the tangent along it is the result.
    np.testing.assert_allclose(tangent, layer.apply(variables, IMAGES), rtol=1e-5, atol=1e-5)


def test_weights_for_another_image_size_are_refused_by_name():
    layer: Any = nn.LocallyConnected(4, (3, 3), name="local1")
    variables = layer.init(jax.random.key(0), IMAGES)
    with pytest.raises(ValueError, match=r"local1.*images of 5x7 need \(5, 7, 27, 4\): unshared"):
        layer.apply(variables, IMAGES[:, :5])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kernel_size": 3}, "kernel_size must be a pair"),
        ({"strides": 0}, r"strides must be ints of at least 1, got \(0, 0\)"),
        ({"kernel_size": (3, 2.0)}, "kernel_size must be ints of at least 1"),
        ({"features": 0}, "features must be an int of at least 1, got 0"),
        ({"feature_group_count": 3}, "local connections have no groups"),
        ({"input_dilation": 2}, "input_dilation=2 is not supported"),
        ({"padding": "CIRCULAR"}, "padding must be one of"),
        ({"padding": "VALID", "kernel_size": (9, 3)}, "larger than the padded input"),
    ],
    ids=str,
)
def test_refuses_what_does_not_fit_in_the_layers_name(fields, message):
    layer = nn.LocallyConnected(**{"features": 4, "kernel_size": (3, 3), "name": "l", **fields})
    with pytest.raises(ValueError, match=f"LocallyConnected l: .*{message}"):
        jax.eval_shape(layer.init, jax.random.key(0), IMAGES)
