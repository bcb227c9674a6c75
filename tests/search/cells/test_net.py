import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import analysis, models, search
from cnnjax.parts import PartError

CHAIN = "normal: conv_3x3(0)+identity(0) | separable_3x3(1)+max_3x3(0)"


def test_multiply_adds_are_those_of_the_definition():
    net = search.CellNet(genome=CHAIN, width=4, stages=2)
    stem = 64 * 9 * 1 * 4
    # Two nodes, of which the first is taken by the second: one loose end of 4 and 8 channels.
    first = 64 * (4 * 4 + 9 * 4 * 4 + 9 * 4 + 4 * 4)
    second = 16 * (4 * 8 + 9 * 8 * 8 + 9 * 8 + 8 * 8)
    assert analysis.multiply_adds(net, (8, 8, 1)) == stem + first + second + 8 * 10


def test_loose_ends_are_joined():
    net = search.CellNet(genome="normal: identity(0) | conv_1x1(0) | max_3x3(1)", width=4)
    shapes = {each.name: each.shape for each in models.feature_info(net, (8, 8, 1))}
    # The second and the third node; channels double where the maps are halved.
    assert shapes == {"stage1": (8, 8, 8), "stage2": (4, 4, 16), "stage3": (2, 2, 32)}


def given_values(net, x):
    """Returns variables of a network without drawing them by JAX, which takes longer."""
    shapes = jax.eval_shape(net.init, jax.random.key(0), jnp.asarray(x))
    random = np.random.default_rng(1)
    drawn = jax.tree.map(lambda a: random.normal(size=a.shape).astype(a.dtype), shapes["params"])
    for norm in (drawn["stem_bn"], drawn["stage1_cell1"]["input0_bn"]):
        norm |= {"scale": np.ones(3, np.float32), "bias": np.zeros(3, np.float32)}
    ones = jax.tree.map(lambda a: np.ones(a.shape, a.dtype), shapes["batch_stats"])
    for norm in (ones["stem_bn"], ones["stage1_cell1"]["input0_bn"]):
        norm["mean"] = np.zeros(3, np.float32)
    return {"params": drawn, "batch_stats": ones}


def test_a_cell_is_the_sum_of_its_edges():
    net = search.CellNet(genome="normal: identity(0)+max_3x3(0)", width=3, stages=1)
    x = np.random.default_rng(0).normal(size=(2, 5, 5, 3)).astype(np.float32)
    variables = given_values(net, x)
    assert sorted(variables["params"]) == ["classifier", "stage1_cell1", "stem", "stem_bn"]
    _, features = models.apply_with_features(net, variables, jnp.asarray(x))
    params = variables["params"]
    kernel = np.asarray(params["stem"]["kernel"], np.float64)
    padded = np.pad(x.astype(np.float64), ((0, 0), (1, 1), (1, 1), (0, 0)))
    stem = sum(padded[:, r : r + 5, c : c + 5] @ kernel[r, c] for r in range(3) for c in range(3))
    # Before any training a batch norm divides by √(1 + ε).
    stem = np.maximum(stem / np.sqrt(1 + 1e-5), 0)
    fitted = stem @ np.asarray(params["stage1_cell1"]["input0"]["kernel"], np.float64)[0, 0]
    fitted /= np.sqrt(1 + 1e-5)
    padded = np.pad(fitted, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-np.inf)
    pooled = np.max([padded[:, r : r + 5, c : c + 5] for r in range(3) for c in range(3)], axis=0)
    np.testing.assert_allclose(features["stage1"], fitted + pooled, rtol=1e-4, atol=1e-5)


def test_cells_take_the_two_before_them():
    genome = search.parse_genome(
        "normal: conv_1x1(0)+identity(1); reduction: max_3x3(1)+conv_1x1(0)"
    )
    net = search.CellNet(genome=genome, inputs=2, width=4, cells=2)
    shapes = {each.name: each.shape[:2] for each in models.feature_info(net, (9, 9, 1))}
    assert shapes == {"stage1": (9, 9), "stage2": (5, 5), "stage3": (3, 3)}


@pytest.mark.parametrize(
    ("fields", "error", "problem"),
    [
        ({"genome": "normal: conv_3x3(1)"}, search.GenomeError, "it may take 0 to 0"),
        ({"genome": "conv"}, search.GenomeError, "another form"),
        ({"genome": "normal: conv_9x9(0)"}, PartError, "unknown cell operation 'conv_9x9'"),
        ({"inputs": 3}, ValueError, r"inputs must be one of \(1, 2\)"),
        ({"width": 0}, ValueError, "width must be an int of at least 1"),
    ],
)
def test_impossible_networks_are_refused(fields, error, problem):
    with pytest.raises(error, match=problem):
        search.CellNet(**fields)
