"""nn.LowRankConv against the convolution whose kernel is the sum of its products."""

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import nn
from tests.helpers.programs import quickly


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"strides": (2, 1), "padding": "VALID", "kernel_dilation": (1, 2)},
        {"padding": ((2, 0), (1, 1)), "padding_mode": "replicate", "strides": 2},
        {"padding": "CIRCULAR"},
        {"padding": 1, "padding_mode": "reflect"},
    ],
    ids=str,
)
def test_it_is_the_convolution_with_the_sum_of_products(fields):
    rng = np.random.default_rng(0)
    column, row = rng.normal(size=(3, 1, 2, 2)), rng.normal(size=(1, 3, 2, 4))
    bias = rng.normal(size=4)
    images = jnp.asarray(rng.normal(size=(2, 9, 8, 2)), jnp.float32)
    small = {"column": {"kernel": column}, "row": {"kernel": row, "bias": bias}}
    whole = {
        "kernel": np.einsum("hck,kwf->hwcf", column[:, 0], row[0].transpose(1, 0, 2)),
        "bias": bias,
    }
    low: nn.LowRankConv = nn.LowRankConv(4, (3, 3), rank=2, **fields)
    conv: nn.Conv = nn.Conv(4, (3, 3), **fields)

    @quickly
    def both(small, whole):
        return low.apply({"params": small}, images), conv.apply({"params": whole}, images)

    as_floats = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), (small, whole))
    found, expected = both(*as_floats)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_a_constant_between_the_two_is_refused():
    layer: nn.LowRankConv = nn.LowRankConv(4, (3, 3), rank=2, padding_mode=1.0)
    with pytest.raises(ValueError, match="a constant other than 0 cannot be padded between"):
        jax.eval_shape(layer.init, jax.random.key(0), jnp.zeros((1, 8, 8, 2)))


@pytest.mark.parametrize(
    ("conv", "message"),
    [
        (
            linen.Conv(4, (3, 3), feature_group_count=2, name="c"),
            "its 2 groups keep channels apart",
        ),
        (linen.Conv(4, (3, 3), mask=jnp.ones((3, 3, 2, 4)), name="c"), "mask or dilated input"),
        (linen.Conv(4, (3,), name="c"), "has not two dimensions"),
    ],
)
def test_convolutions_without_a_form_of_low_rank_are_named(conv, message):
    class Net(linen.Module):
        @linen.compact
        def __call__(self, x):
            return conv.clone(parent=self)(x)

    changed = nn.change_layers(Net(), {"c": {"rank": 2}})
    with pytest.raises(ValueError, match=f"Conv c: rank: .*{message}"):
        jax.eval_shape(changed.init, jax.random.key(0), jnp.zeros((1, 8, 8, 2)))
