"""Convolutions as columns and rows, against NumPy's singular values."""

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import analysis, compression, models
from tests.compression.nets import SHAPE, Tied, drawn
from tests.helpers.programs import quickly

KERNEL = np.random.default_rng(0).normal(size=(3, 5, 4, 6))


@pytest.mark.parametrize("rank", [1, 4, 12])
def test_the_error_is_that_of_the_singular_values_left_out(rank):
    found = compression.low_rank_kernel(KERNEL, rank)
    matrix = KERNEL.transpose(0, 2, 1, 3).reshape(12, 30)
    values = np.linalg.svd(matrix, compute_uv=False)
    expected = np.sqrt((values[rank:] ** 2).sum() / (values**2).sum())
    assert found.error == pytest.approx(expected, abs=1e-12)
    near = np.einsum("hck,wkf->hwcf", found.column[:, 0], found.row[0])
    left = (KERNEL - near).reshape(-1, 6)
    assert np.linalg.norm(left) / np.linalg.norm(KERNEL) == pytest.approx(expected, abs=1e-12)
    np.testing.assert_allclose(
        found.filter_errors,
        np.linalg.norm(left, axis=0) / np.linalg.norm(KERNEL.reshape(-1, 6), axis=0),
        atol=1e-12,
    )


def test_a_kernel_of_zeros_is_exact():
    found = compression.low_rank_kernel(np.zeros((3, 3, 2, 2)), 1)
    assert found.error == 0
    assert not found.filter_errors.any()


def test_at_full_rank_the_network_computes_the_same():
    model, variables = Tied(), drawn(Tied())
    # 3 rows of 3 channels, and 3 columns of 8 filters, leave no more than 9.
    small = compression.decompose(model, variables, SHAPE, [("stem", 9)])
    images = jnp.asarray(np.random.default_rng(1).normal(size=(2, *SHAPE)), jnp.float32)

    @quickly
    def both(first, second):
        return small.model.apply(first, images), model.apply(second, images)

    found, expected = both(small.variables, variables)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert small.layers[0].name == "stem"
    assert small.layers[0].error < 1e-12
    made = jax.eval_shape(small.model.init, jax.random.key(0), images)
    assert jax.tree.map(jnp.shape, made) == jax.tree.map(jnp.shape, small.variables)


def test_costs_are_counted_again_and_costly_replacements_left_out():
    model, variables = Tied(), drawn(Tied())
    small = compression.decompose(model, variables, SHAPE, 2)
    ranks = {layer.name: layer.rank for layer in small.layers}
    # 1x1 convolutions and those with groups are no candidates.
    assert ranks == {"stem": 2, "branch2": 2}
    assert small.multiply_adds == (
        analysis.summarize(model, SHAPE, kept=False).multiply_adds,
        analysis.summarize(small.model, SHAPE, kept=False).multiply_adds,
    )
    # Columns 3x3x2 and rows 3x2x8 at 64 places in place of 3x3x3x8.
    assert small.layers[0].multiply_adds == (216 * 64, (18 + 48) * 64)
    assert "stem     rank    2" in str(small)
    assert compression.decompose(model, variables, SHAPE, 7).layers[0].rank is None


def test_an_error_chooses_the_smallest_rank_within_it():
    model, variables = Tied(), drawn(Tied())
    kernel = np.asarray(variables["params"]["branch2"]["kernel"], np.float64)
    values = np.linalg.svd(kernel.transpose(0, 2, 1, 3).reshape(18, 24), compute_uv=False)
    left = [np.sqrt((values[k:] ** 2).sum() / (values**2).sum()) for k in range(19)]
    small = compression.decompose(model, variables, SHAPE, error=0.3)
    layer = next(layer for layer in small.layers if layer.name == "branch2")
    assert layer.rank == next(k for k in range(1, 19) if left[k] <= 0.3)
    assert layer.error == pytest.approx(left[layer.rank or 0], abs=1e-6)


def test_a_pruned_network_can_be_decomposed():
    pruned = compression.prune_filters(Tied(), drawn(Tied()), SHAPE, [("stem", 0.5)])
    small = compression.decompose(pruned.model, pruned.variables, SHAPE, [("stem", 1)])
    params = small.variables["params"]["stem"]
    assert params["row"]["kernel"].shape == (1, 3, 1, 4)
    assert params["row"]["bias"].shape == (4,)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "decompose: give either rank or error"),
        ({"rank": 0}, "rank must be an int of at least 1, got 0"),
        ({"error": 1.5}, "error: 1.5 was given; give 0 or more, below 1"),
        (
            {"rank": [("stem", 99)]},
            r"rank: 99 was given, but a kernel of \(3, 3, 3, 8\) has at most 9",
        ),
        ({"rank": [("left", 1)]}, "rank: left cannot be replaced: its kernel of 1x1 is a row or"),
        (
            {"rank": [("grouped", 1)]},
            "grouped cannot be replaced: its 3 groups keep channels apart",
        ),
        ({"rank": [("x", 1)]}, "rank: no convolution is named 'x'; there are stem"),
    ],
)
def test_wrong_values_are_named(given, message):
    with pytest.raises(ValueError, match=message):
        compression.decompose(Tied(), drawn(Tied()), SHAPE, **given)


def test_stacked_kernels_and_networks_without_convolutions_are_refused():
    net = models.create_model("resnet20_cifar", 10, scan=True, widths=(4, 4, 4))
    images = jax.ShapeDtypeStruct((1, 8, 8, 3), jnp.float32)
    shapes = jax.eval_shape(net.init, jax.random.key(0), images)
    variables = jax.tree.map(lambda leaf: jnp.ones(leaf.shape), shapes)
    with pytest.raises(ValueError, match="a loop stacks its kernels; make the network with scan"):
        compression.decompose(net, variables, (8, 8, 3), [("stage1_rest.*/conv1", 2)])

    class Head(linen.Module):
        @linen.compact
        def __call__(self, x):
            return linen.Dense(2)(x.reshape(x.shape[0], -1))

    with pytest.raises(ValueError, match="no convolution that can be replaced; it has none at all"):
        compression.decompose(Head(), drawn(Head()), SHAPE, 2)
