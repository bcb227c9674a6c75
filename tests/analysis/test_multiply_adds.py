"""multiply_adds against products counted from the definition, for any Flax model."""

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import models, nn
from cnnjax.analysis import summarize
from cnnjax.analysis.cost.multiply_adds import (
    layer_multiply_adds,
    multiply_adds,
    multiply_adds_by_layer,
)
from cnnjax.analysis.cost.traces import trace_operations


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        # Output positions times kernel taps times channels in and out; padding counts.
        (nn.Conv(5, (3, 3)), 8 * 6 * 9 * 4 * 5),
        (linen.Conv(5, (3, 3), strides=2), 4 * 3 * 9 * 4 * 5),
        (nn.Conv(8, (3, 3), padding="VALID", feature_group_count=2), 6 * 4 * 9 * 2 * 8),
        (nn.Conv(4, (1, 1), mask=np.eye(4)[None, None]), 8 * 6 * 4),
        (nn.SparseConv(((0, 1), (2,), (0, 1, 3)), (3, 3)), 6 * 4 * 9 * 6),
        # A transposed convolution spreads every input over the kernel.
        (linen.ConvTranspose(5, (3, 3), strides=(2, 2)), 8 * 6 * 9 * 4 * 5),
        (linen.ConvLocal(5, (3, 3), padding="VALID"), 6 * 4 * 9 * 4 * 5),
        (linen.Dense(7), 8 * 6 * 4 * 7),
        (linen.DenseGeneral((2, 3), axis=(-2, -1)), 8 * 6 * 4 * 6),
        (nn.MaxPool(2), 0),
        (linen.BatchNorm(), 0),
    ],
    ids=lambda value: type(value).__name__,
)
def test_layers_are_counted_from_their_shapes(layer, expected):
    assert multiply_adds(layer, (8, 6, 4)) == expected
    assert multiply_adds(layer, (3, 8, 6, 4)) == 3 * expected


class Shared(linen.Module):
    """One dense layer called twice, then dropout, in a model with a training switch."""

    @linen.compact
    def __call__(self, x, deterministic):
        dense = linen.Dense(4)
        return linen.Dropout(0.5, deterministic=deterministic)(dense(dense(x)))


def test_a_layer_that_is_called_twice_counts_twice():
    assert multiply_adds_by_layer(Shared(), (1, 1, 4)) == {"Dense_0": 32}


@pytest.mark.parametrize(
    "settings", [{"scan": True}, {"remat": True}, {"scan": True, "remat": True}]
)
def test_scanned_and_rematerialized_blocks_count_as_often_as_they_run(settings):
    plain = multiply_adds(models.create_model("resnet20_cifar"), (32, 32, 3))
    assert multiply_adds(models.create_model("resnet20_cifar", **settings), (32, 32, 3)) == plain


def test_auxiliary_heads_and_the_dtype_do_not_count():
    with_heads = models.create_model("googlenet")
    assert multiply_adds(with_heads, (224, 224, 3)) == multiply_adds(
        with_heads.clone(aux_heads=False, dtype=jnp.bfloat16), (224, 224, 3)
    )


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        # Depthwise: each output channel meets one input channel.
        (linen.Conv(4, (3, 3), feature_group_count=4), (8, 6, 4), 8 * 6 * 9 * 4),
        # Holes of a dilated kernel are no products; VALID keeps 8 - 4 rows.
        (
            linen.Conv(2, (3, 3), kernel_dilation=2, padding="VALID"),
            (8, 6, 4),
            4 * 2 * 9 * 4 * 2,
        ),
        (linen.Conv(5, (1, 7), strides=(2, 3)), (8, 6, 4), 4 * 2 * 7 * 4 * 5),
        (linen.Conv(5, (3,), padding="VALID"), (1, 10, 4), 8 * 3 * 4 * 5),
        (linen.Conv(3, (2, 2, 2), padding="VALID"), (1, 5, 4, 3, 2), 4 * 3 * 2 * 8 * 2 * 3),
        (linen.ConvTranspose(5, (4, 4), strides=(3, 3), padding="VALID"), (8, 6, 4), 48 * 16 * 20),
        (linen.ConvLocal(2, (3, 3), strides=2, padding="VALID"), (7, 5, 4), 3 * 2 * 9 * 4 * 2),
        (linen.DenseGeneral((2, 3)), (8, 6, 4), 48 * 4 * 6),
        (linen.Einsum((4, 6), "nhwi,io->nhwo"), (8, 6, 4), 48 * 4 * 6),
        (linen.Embed(10, 3), (8, 6, 4), 0),
        (nn.AvgPool(2), (8, 6, 4), 0),
    ],
    ids=lambda value: type(value).__name__,
)
def test_odd_layers_are_counted_by_the_defining_sum(layer, shape, expected):
    if isinstance(layer, linen.Embed):
        layer = linen.Sequential([lambda x: x.astype(jnp.int32), layer])
    assert multiply_adds(layer, shape) == expected


@pytest.mark.parametrize(
    "layer",
    [
        linen.Conv(4, (3, 3), feature_group_count=2, use_bias=False),
        linen.Conv(2, (3, 3), kernel_dilation=2, strides=2),
        linen.ConvTranspose(5, (4, 4), strides=(3, 3)),
        linen.DenseGeneral((2, 3), axis=(-2, -1)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_products_are_the_same_read_from_layers_and_from_operations(layer):
    """`summarize` takes a layer's own count; the traced operations give another."""
    images = jax.ShapeDtypeStruct((1, 8, 6, 4), jnp.float32)
    variables = jax.eval_shape(lambda x: layer.init(jax.random.key(0), x), images)
    operations = trace_operations(layer, variables, images).operations
    assert sum(operation.multiply_adds for operation in operations) == multiply_adds(
        layer, (8, 6, 4)
    )


def test_a_function_of_a_transposed_convolution_counts_each_input_value_once():
    class Transposed(linen.Module):
        @linen.compact
        def __call__(self, x):
            kernel = self.param("kernel", linen.initializers.ones, (3, 3, 4, 5))
            return jax.lax.conv_transpose(x, kernel, (2, 2), "SAME")

    assert summarize(Transposed(), (6, 6, 4)).multiply_adds == 36 * 9 * 4 * 5


def test_a_layer_without_products_counts_nothing():
    assert layer_multiply_adds(linen.Dropout(0.5), (1, 4), (1, 4)) == 0


def test_images_that_are_too_small_are_refused():
    net = models.create_model("lenet5")
    with pytest.raises(ValueError, match=r"Conv c1: .* LeNet5.s layers need at least 16x16"):
        multiply_adds(net, (4, 4, 1))
