"""nn.Conv: flax.linen.Conv's fields, parameters and values, with clearer refusals."""

import dataclasses
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import nn
from tests.helpers import reference
from tests.helpers.programs import quickly

IMAGES = jax.random.normal(jax.random.key(1), (2, 9, 11, 6))


def test_has_every_field_of_flax_conv_with_the_same_default():
    ours = {f.name: f.default for f in dataclasses.fields(nn.Conv)}
    for field in dataclasses.fields(linen.Conv):
        assert ours[field.name] == field.default, field.name


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"strides": 2, "padding": "VALID"},
        {"strides": (2, 1), "padding": 1},
        {"padding": ((1, 0), (2, 1)), "use_bias": False},
        {"padding": (2, 1)},
        {"kernel_dilation": 2},
        {"kernel_dilation": (1, 2), "padding": "CIRCULAR"},
        {"padding": "REFLECT"},
        {"feature_group_count": 3},
        {"input_dilation": 2, "padding": ((2, 1), (1, 1))},
        {"input_dilation": (1, 2), "strides": 2, "padding": 1},
        {"mask": jnp.tril(jnp.ones((6, 9)))[None, None] * jnp.ones((3, 5, 1, 1))},
    ],
    ids=str,
)
def test_agrees_with_flax_conv_from_the_same_parameters(fields):
    theirs, ours = linen.Conv(9, (3, 5), **fields), nn.Conv(9, (3, 5), **fields)
    variables = theirs.init(jax.random.key(0), IMAGES)
    assert jax.tree.map(jnp.shape, ours.init(jax.random.key(0), IMAGES)) == jax.tree.map(
        jnp.shape, variables
    )

    def loss(module, variables, x):
        return jnp.sum(jnp.sin(module.apply(variables, x)))

    values: Any = ours.apply(variables, IMAGES)
    expected_values: Any = theirs.apply(variables, IMAGES)
    np.testing.assert_allclose(values, expected_values, atol=2e-5)
    for got, expected in zip(
        jax.tree.leaves(jax.grad(loss, (1, 2))(ours, variables, IMAGES)),
        jax.tree.leaves(jax.grad(loss, (1, 2))(theirs, variables, IMAGES)),
        strict=True,
    ):
        np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-4)


@pytest.mark.parametrize("shape", [(9, 11, 6), (2, 3, 9, 11, 6)])
def test_takes_any_number_of_batch_dimensions(shape):
    x = jax.random.normal(jax.random.key(2), shape)
    conv = nn.Conv(4, (3, 3), strides=2)
    variables = conv.init(jax.random.key(0), x)
    expected: Any = linen.Conv(4, (3, 3), strides=2).apply(variables, x)
    found: Any = conv.apply(variables, x)
    np.testing.assert_allclose(found, expected, atol=1e-5)


NUMPY_MODES = {"zeros": "constant", "replicate": "edge", "reflect": "reflect", "circular": "wrap"}


@pytest.mark.parametrize(("mode", "groups"), [*((mode, 1) for mode in NUMPY_MODES), (-0.5, 3)])
def test_padding_mode_gives_the_pixels_that_numpy_pads_with(mode, groups):
    conv = nn.Conv(6, (3, 5), padding=((2, 0), (1, 2)), padding_mode=mode)
    conv = conv.clone(feature_group_count=groups, use_bias=False)
    x, kernel = np.asarray(IMAGES), np.random.default_rng(0).normal(size=(3, 5, 6 // groups, 6))
    how: Any = {"mode": NUMPY_MODES[mode]} if isinstance(mode, str) else {"constant_values": mode}

    def expected(x):
        padded = np.pad(np.asarray(x, np.float64), ((0, 0), (2, 0), (1, 2), (0, 0)), **how)
        return reference.conv2d(padded, kernel, groups=groups)

    variables: Any = {"params": {"kernel": jnp.asarray(kernel, jnp.float32)}}
    # The same through a product of one's own.
    own = conv.clone(conv_general_dilated=jax.lax.conv_general_dilated)

    @quickly
    def computed(x, g):
        y, vjp = jax.vjp(lambda x: conv.apply(variables, x), x)
        return y, own.apply(variables, x), vjp(g)[0]

    wanted = expected(x)
    direction, g = (np.random.default_rng(s).normal(size=a.shape) for s, a in ((1, x), (2, wanted)))
    found, by_own, gradient = computed(IMAGES, g.astype(np.float32))
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    np.testing.assert_allclose(by_own, wanted, atol=1e-4)
    # Affine in the image: its change along a direction is the gradient's product with that.
    change = np.sum((expected(x + direction) - wanted) * g)
    np.testing.assert_allclose(np.sum(gradient * direction), change, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(("word", "mode"), [("CIRCULAR", "circular"), ("REFLECT", "reflect")])
def test_padding_modes_are_those_of_flaxs_words(word, mode):
    theirs = linen.Conv(4, (3, 3), padding=word)
    variables = theirs.init(jax.random.key(0), IMAGES)
    expected: Any = theirs.apply(variables, IMAGES)
    found: Any = nn.Conv(4, (3, 3), padding_mode=mode).apply(variables, IMAGES)
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_native_backward_allows_forward_mode():
    conv = nn.Conv(4, (3, 3), backward="native")
    variables = conv.init(jax.random.key(0), IMAGES)
    _, tangent = jax.jvp(lambda x: conv.apply(variables, x), (IMAGES,), (jnp.ones_like(IMAGES),))
    moved: Any = conv.apply(variables, IMAGES + 1.0)
    difference = moved - conv.apply(variables, IMAGES)
    np.testing.assert_allclose(tangent, difference, atol=1e-4)


def test_computes_in_dtype_with_float32_parameters():
    conv = nn.Conv(4, (3, 3), dtype=jnp.bfloat16)
    variables = conv.init(jax.random.key(0), IMAGES)
    assert {p.dtype for p in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    y: Any = conv.apply(variables, IMAGES)
    assert y.dtype == jnp.bfloat16


@pytest.mark.parametrize(
    ("fields", "shape", "message"),
    [
        ({"kernel_size": 3}, (1, 8, 8, 4), r"kernel_size must be a pair.*got 3; write .*\(3, 3\)"),
        ({"kernel_size": (3,)}, (1, 8, 8, 4), r"kernel_size must be a pair.*got \(3,\)"),
        ({"kernel_size": (3, 3, 3)}, (1, 8, 8, 4), "kernel_size must be a pair"),
        (
            {"feature_group_count": 3},
            (1, 8, 8, 4),
            "feature_group_count=3 must divide the 4 input channels and features=6",
        ),
        ({"feature_group_count": 4}, (1, 8, 8, 4), "features=6"),
        ({"padding": "VALID", "kernel_size": (9, 3)}, (1, 8, 8, 4), "larger than the padded input"),
        ({}, (8, 8), r"must have shape \[..., height, width, channels\]"),
        ({"mask": np.ones((1, 1, 1, 5))}, (1, 8, 8, 4), r"mask has shape \(1, 1, 1, 5\)"),
        ({"padding": "SOME"}, (1, 8, 8, 4), "SOME"),
        ({"strides": 0}, (1, 8, 8, 4), r"strides must be ints of at least 1, got \(0, 0\)"),
        ({"kernel_size": (3, 2.0)}, (1, 8, 8, 4), "kernel_size must be ints of at least 1"),
        ({"features": 0}, (1, 8, 8, 4), "features must be an int of at least 1, got 0"),
        ({"padding_mode": "mirror"}, (1, 8, 8, 4), "padding_mode must be one of .* got 'mirror'"),
        ({"padding_mode": "reflect", "padding": 8}, (1, 8, 8, 4), "can add at most 7 pixels"),
        (
            {"padding_mode": "replicate", "padding": "CIRCULAR"},
            (1, 8, 8, 4),
            "both name the pixels to add; set padding='SAME'",
        ),
        ({"padding_mode": 1.0, "input_dilation": 2}, (1, 8, 8, 4), "not defined between the pix"),
    ],
    ids=str,
)
def test_refuses_what_does_not_fit_before_compiling(fields, shape, message):
    conv = nn.Conv(**{"features": 6, "kernel_size": (3, 3), "name": "stem", **fields})
    with pytest.raises(ValueError, match=f"stem.*{message}"):
        jax.eval_shape(conv.init, jax.random.key(0), jax.ShapeDtypeStruct(shape, jnp.float32))


@pytest.mark.parametrize("kind", [ValueError, TypeError, jax.errors.ConcretizationTypeError])
def test_errors_name_the_layer_and_those_about_tracers_are_jaxs(kind):
    class Layer(linen.Module):
        @linen.compact
        def __call__(self, x):
            with nn.naming_layer(self):
                if kind is jax.errors.ConcretizationTypeError:
                    return jax.jit(lambda x: float(x))(x)
                raise kind("it does not fit")

    class Net(linen.Module):
        @linen.compact
        def __call__(self, x):
            return Layer(name="first")(x)

    with pytest.raises(kind) as caught:
        Net().init(jax.random.key(0), jnp.float32(1))
    named = str(caught.value).startswith("Layer first: it does not fit")
    assert named == (kind is not jax.errors.ConcretizationTypeError)
