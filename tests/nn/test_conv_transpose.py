"""nn.ConvTranspose: flax's fields, parameters and values; groups and sizes that flax lacks."""

import dataclasses
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import nn, ops
from tests.helpers.programs import quickly

IMAGES = jax.random.normal(jax.random.key(1), (2, 4, 5, 6))


def _apply(module, variables, x) -> Any:
    return module.apply(variables, x)


def _drawn(module, x):
    """Variables of the shapes of a module's, with random values."""
    shapes: Any = jax.eval_shape(module.init, jax.random.key(0), x)
    generator = np.random.default_rng(0)
    return jax.tree.map(lambda s: jnp.asarray(generator.normal(size=s.shape), s.dtype), shapes)


def test_has_every_field_of_flax_with_the_same_default():
    ours = {f.name: f.default for f in dataclasses.fields(nn.ConvTranspose)}
    for field in dataclasses.fields(linen.ConvTranspose):
        assert ours[field.name] == field.default, field.name


@pytest.mark.parametrize("transpose_kernel", [False, True])
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"strides": 2},
        {"strides": (2, 3), "padding": "VALID", "kernel_size": (1, 2)},
        {"strides": (4, 1), "kernel_dilation": (2, 1), "use_bias": False},
        {"strides": 2, "padding": 1, "kernel_size": (4, 4)},
        {"strides": (1, 2), "padding": ((1, 3), (7, 0))},
    ],
    ids=str,
)
def test_agrees_with_flax_from_the_same_parameters(fields, transpose_kernel):
    fields = {"features": 3, "kernel_size": (3, 4), "transpose_kernel": transpose_kernel} | fields
    theirs: Any = linen.ConvTranspose(**fields)
    ours: Any = nn.ConvTranspose(**fields)
    variables = _drawn(theirs, IMAGES)
    shapes = jax.eval_shape(ours.init, jax.random.key(0), IMAGES)
    assert jax.tree.map(jnp.shape, shapes) == jax.tree.map(jnp.shape, variables)

    @quickly
    def both(variables, x):
        y, vjp = jax.vjp(lambda v, x: _apply(ours, v, x), variables, x)
        expected, flax_vjp = jax.vjp(lambda v, x: _apply(theirs, v, x), variables, x)
        g = jnp.cos(expected)
        return (y, vjp(g)), (expected, flax_vjp(g))

    found, expected = both(variables, IMAGES)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-4)


def test_is_the_sum_of_the_turned_kernels_copies_with_groups_and_output_padding():
    layer = nn.ConvTranspose(
        4,
        (3, 2),
        (2, 3),
        padding=((1, 2), (0, 1)),
        output_padding=(1, 2),
        feature_group_count=2,
    )
    variables: Any = _drawn(layer, IMAGES)
    kernel, bias = (np.asarray(variables["params"][n], np.float64) for n in ("kernel", "bias"))
    assert kernel.shape == (3, 2, 3, 4)
    copies = np.zeros((2, 2 * 3 + 3, 3 * 4 + 2, 4))
    x = np.asarray(IMAGES, np.float64)
    for r in range(4):
        for c in range(5):
            for a in range(3):
                for b in range(2):
                    for g in (0, 1):
                        copies[:, 2 * r + a, 3 * c + b, 2 * g : 2 * g + 2] += (
                            x[:, r, c, 3 * g : 3 * g + 3]
                            @ kernel[2 - a, 1 - b, :, 2 * g : 2 * g + 2]
                        )
    # Flax's padding p leaves K - 1 - p rows to cut; output_padding cuts fewer, or adds zeros.
    copies = np.pad(copies, ((0, 0), (0, 1), (0, 2), (0, 0)))
    expected = copies[:, 1:, 1:] + bias
    found = quickly(layer.apply)(variables, IMAGES)
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("groups", [1, 2])
def test_with_the_kernel_of_a_convolution_it_is_the_adjoint_of_that(groups):
    conv = nn.Conv(6, (3, 3), 2, feature_group_count=groups, use_bias=False)
    back = nn.ConvTranspose(4, (3, 3), 2, transpose_kernel=True, use_bias=False)
    back = back.clone(feature_group_count=groups)
    images = jax.random.normal(jax.random.key(2), (2, 8, 10, 4))
    variables = _drawn(conv, images)

    @quickly
    def products(x, images):
        enlarged, convolved = _apply(back, variables, x), _apply(conv, variables, images)
        return jnp.vdot(enlarged, images), jnp.vdot(x, convolved)

    left, right = products(IMAGES, images)
    np.testing.assert_allclose(left, right, rtol=1e-4)


@pytest.mark.parametrize("output_padding", [0, (0, 1), 1])
def test_output_padding_chooses_among_the_sizes_that_a_convolution_maps_to_one(output_padding):
    layer = nn.ConvTranspose(2, (3, 3), 2, padding=1, output_padding=output_padding)
    size = jax.eval_shape(layer.init_with_output, jax.random.key(0), IMAGES)[0].shape[1:3]
    extra = np.broadcast_to(output_padding, 2)
    # PyTorch's formula with its padding of K - 1 - 1 = 1: (D - 1) S - 2P + K + extra.
    assert size == (3 * 2 - 2 + 3 + extra[0], 4 * 2 - 2 + 3 + extra[1])
    assert [ops.output_size(n, 3, 2, 1) for n in size] == [4, 5]


@pytest.mark.parametrize("stride", [2, 3])
@pytest.mark.parametrize("groups", [1, 6])
def test_bilinear_kernels_interpolate_between_pixels(stride, groups):
    size = 2 * stride - stride % 2
    layer: Any = nn.ConvTranspose(6, (size, size), stride, kernel_init=nn.bilinear_init())
    layer = layer.clone(feature_group_count=groups)
    # A plane: what lies between its pixels is known. Output r is at (r + 1/2) / s - 1/2.
    slopes = np.arange(6.0)
    rows, columns = np.arange(4)[:, None, None], np.arange(5)[None, :, None]
    x = jnp.asarray((rows + slopes * columns)[None], jnp.float32)
    y, _ = layer.init_with_output(jax.random.key(0), x)
    rows, columns = ((np.arange(n * stride) + 0.5) / stride - 0.5 for n in (4, 5))
    expected = rows[:, None, None] + slopes * columns[None, :, None]
    inside = slice(stride, -stride)
    np.testing.assert_allclose(y[0, inside, inside], expected[inside, inside], atol=1e-4)


def test_bilinear_kernels_need_a_channel_for_each_output():
    layer = nn.ConvTranspose(4, (4, 4), 2, kernel_init=nn.bilinear_init())
    with pytest.raises(ValueError, match="4 output channels are no multiple of the 6 input"):
        layer.init(jax.random.key(0), IMAGES)


def test_native_backward_allows_forward_mode_and_dtypes_are_kept():
    layer = nn.ConvTranspose(3, (3, 3), 2, backward="native", dtype=jnp.bfloat16)
    variables = layer.init(jax.random.key(0), IMAGES)
    assert {p.dtype for p in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    y, tangent = jax.jvp(lambda x: _apply(layer, variables, x), (IMAGES,), (IMAGES,))
    assert y.dtype == tangent.dtype == jnp.bfloat16
    single = _apply(layer, variables, IMAGES[0])
    np.testing.assert_array_equal(single, y[0])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kernel_size": 3}, r"kernel_size must be a pair.*got 3"),
        ({"strides": 0}, r"strides must be ints of at least 1, got \(0, 0\)"),
        ({"kernel_size": (3, 2.0)}, "kernel_size must be ints of at least 1"),
        ({"features": 0}, "features must be an int of at least 1, got 0"),
        ({"padding": "CIRCULAR"}, "padding must be 'SAME', 'VALID', .*got 'CIRCULAR'"),
        ({"padding": (1, 2, 3)}, "padding must be"),
        ({"padding": (1, (2, 3.0))}, "padding must be"),
        ({"padding": -3}, "leaves a result of .* larger numbers give a larger"),
        ({"output_padding": 1}, r"less than the strides \(1, 1\), got 1"),
        ({"output_padding": "all"}, "output_padding must be an int or a pair"),
        ({"feature_group_count": 4}, "feature_group_count=4 must divide the 6 input channels"),
        ({"feature_group_count": 2, "features": 3}, "and features=3"),
        ({"mask": np.ones((1, 1, 1, 5))}, r"mask has shape \(1, 1, 1, 5\)"),
        ({"preferred_element_type": jnp.float32}, "preferred_element_type is not supported"),
    ],
    ids=str,
)
def test_refuses_what_does_not_fit_in_the_layers_name(fields, message):
    layer = nn.ConvTranspose(**{"features": 4, "kernel_size": (3, 3), "name": "up", **fields})
    with pytest.raises(ValueError, match=f"up.*{message}"):
        jax.eval_shape(layer.init, jax.random.key(0), IMAGES)
