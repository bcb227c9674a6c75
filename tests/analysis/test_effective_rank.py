"""Effective ranks against matrices whose singular values are known."""

import flax.linen as linen
import jax
import numpy as np
import pytest

from cnnjax.analysis.behavior.effective_rank import effective_rank, effective_ranks
from tests.analysis.nets import initialized


def matrix(singular_values, rows, columns, seed=0):
    """A matrix with the given singular values and random directions."""
    rng = np.random.default_rng(seed)
    left = np.linalg.qr(rng.normal(size=(rows, len(singular_values))))[0]
    right = np.linalg.qr(rng.normal(size=(columns, len(singular_values))))[0]
    return left * np.asarray(singular_values) @ right.T


@pytest.mark.parametrize("shape", [(40, 7), (7, 40), (7, 7)])
def test_equal_singular_values_give_their_number(shape):
    assert effective_rank(matrix([3.0] * 5, *shape)) == pytest.approx(5, rel=1e-6)
    assert effective_rank(matrix([2.0], *shape)) == pytest.approx(1, rel=1e-6)


def test_unequal_singular_values_give_the_exponential_of_their_entropy():
    """p = (1/2, 1/4, 1/4) has an entropy of 1.5 log 2."""
    assert effective_rank(matrix([2.0, 1.0, 1.0], 20, 9)) == pytest.approx(2**1.5, rel=1e-6)
    # Roy and Vetterli, section 3: neither a factor nor a rotation changes it.
    assert effective_rank(1e-30 * matrix([2, 1, 1], 9, 20, 1)) == pytest.approx(2**1.5, rel=1e-6)
    assert effective_rank(np.float32(1e30) * np.eye(3, dtype=np.float32)) == pytest.approx(3)


def test_zeros_nan_and_wrong_shapes():
    assert effective_rank(np.zeros((3, 4))) == 0
    assert np.isnan(effective_rank([[1.0, np.nan]]))
    for wrong in (np.zeros(3), np.zeros((0, 3)), np.zeros((2, 2, 2))):
        with pytest.raises(ValueError, match="give rows and columns"):
            effective_rank(wrong)


def test_ranks_of_a_linear_network_are_those_of_its_bottleneck():
    """Behind a layer of two units, wide layers have a rank of two at most."""

    class Narrow(linen.Module):
        @linen.compact
        def __call__(self, x):
            for name, width in (("wide", 12), ("narrow", 2), ("again", 12)):
                x = linen.Conv(width, (1, 1), name=name)(x)
            return x

    variables, images = initialized(Narrow(), (6, 4, 4, 20))
    wide, narrow, again = effective_ranks(Narrow(), variables, images)
    assert [r.channels for r in (wide, narrow, again)] == [12, 2, 12]
    assert wide.rank > 8 and 1 <= narrow.rank <= 2 and 1 <= again.rank <= 2 + 1e-3
    assert wide.rows == 6 * 4 * 4
    kernel = np.asarray(variables["params"]["wide"]["kernel"], np.float64)[0, 0]
    features = np.asarray(images, np.float64).reshape(-1, 20) @ kernel
    shares = np.linalg.svd(features - features.mean(axis=0), compute_uv=False)
    shares /= shares.sum()
    assert wide.rank == pytest.approx(np.exp(-(shares * np.log(shares)).sum()), rel=1e-4)


def test_the_mean_of_a_channel_is_no_direction():
    """A large constant in every channel does not hide the directions in which features vary."""
    layer = linen.Dense(4, bias_init=linen.initializers.constant(1000.0), name="layer")
    variables = layer.init(jax.random.key(0), np.zeros((1, 4), np.float32))
    variables["params"]["kernel"] = np.eye(4, dtype=np.float32)
    vectors = np.concatenate([np.eye(4), -np.eye(4)]).astype(np.float32)
    (rank,) = effective_ranks(layer, variables, vectors, names=[""])
    assert rank.rank == pytest.approx(4, rel=1e-3)
    (few,) = effective_ranks(layer, variables, vectors, names=[""], rows=3)
    assert few.rows == 3 and few.rank <= 2.001
    with pytest.raises(ValueError, match="rows 1"):
        effective_ranks(layer, variables, vectors, rows=1)
