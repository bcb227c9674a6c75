"""multiply_adds against products counted from the definition, for any Flax model."""

import flax.linen as linen
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import models, nn
from cnnjax.analysis.cost.multiply_adds import multiply_adds, multiply_adds_by_layer


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
