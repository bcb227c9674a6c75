"""FractalNet: joins, columns as plain networks, both join orders, and drop-path."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import models
from cnnjax.models.blocks.drop_path import DropPath, join, keep_paths
from cnnjax.models.fractalnet import column_variables
from tests.models.shapes import drawn, variables_of

ONE_BLOCK = {"widths": (4,), "dropout_rates": (0.0,)}
SIZE = (4, 4, 3)


def network(**settings):
    return models.create_model("fractalnet20", **{**ONE_BLOCK, **settings})


def images():
    return jax.random.normal(jax.random.key(5), (2, *SIZE))


def unit(variables, column, number, x):
    """Convolution, batch norm in evaluation, rectifier, from the definitions in NumPy."""
    name = f"block1_column{column}_unit{number}"
    kernel = np.asarray(variables["params"][name]["conv"]["kernel"], np.float64)
    norm, running = (
        {k: np.asarray(v, np.float64) for k, v in variables[c][name]["bn"].items()}
        for c in ("params", "batch_stats")
    )
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    y = sum(
        padded[:, a : a + x.shape[1], b : b + x.shape[2]] @ kernel[a, b]
        for a in range(3)
        for b in range(3)
    )
    y = (y - running["mean"]) / np.sqrt(running["var"] + 1e-5)
    return np.maximum(y * norm["scale"] + norm["bias"], 0)


def pool(x):
    return x.reshape(x.shape[0], x.shape[1] // 2, 2, x.shape[2] // 2, 2, -1).max((2, 4))


@pytest.mark.parametrize("pool_before_join", [False, True])
def test_a_block_of_three_columns_is_the_papers_figure(pool_before_join):
    """Figure 1: columns of 1, 2 and 4 units; two meet half-way, three at the end."""
    model = network(pool_before_join=pool_before_join)
    variables = drawn(variables_of(model, SIZE))
    x = np.asarray(images(), np.float64)
    deep = unit(variables, 2, 2, unit(variables, 2, 1, x))
    half = (deep + unit(variables, 1, 1, x)) / 2
    deep = unit(variables, 2, 4, unit(variables, 2, 3, half))
    ends = [unit(variables, 0, 1, x), unit(variables, 1, 2, half), deep]
    pools_then_joins, joins_then_pools = sum(pool(e) for e in ends) / 3, pool(sum(ends) / 3)
    expected = pools_then_joins if pool_before_join else joins_then_pools
    _, features = models.apply_with_features(model, variables, images())
    np.testing.assert_allclose(features["block1"], expected, atol=1e-4)


@pytest.mark.parametrize("column", [0, 1, 2])
def test_a_column_is_a_plain_network_with_its_own_variables(column):
    variables = drawn(variables_of(network(), SIZE))
    alone = network(column=column)
    own = column_variables(variables, column)
    assert jax.tree.map(jnp.shape, own) == jax.tree.map(jnp.shape, variables_of(alone, SIZE))
    expected = np.asarray(images(), np.float64)
    for number in range(1, 2**column + 1):
        expected = unit(variables, column, number, expected)
    _, features = models.apply_with_features(alone, own, images())
    np.testing.assert_allclose(features["block1"], pool(expected), atol=1e-4)
    with_all: Any = alone.apply(variables, images())
    by_itself: Any = alone.apply(own, images())
    np.testing.assert_allclose(by_itself, with_all, atol=1e-6)


def test_a_global_path_is_one_column():
    model = network(global_fraction=1.0)
    variables = drawn(variables_of(model, SIZE))

    def train(model, key):
        return model.apply(
            variables, images(), train=True, rngs={"dropout": key}, mutable=["batch_stats"]
        )[0]

    columns = [np.asarray(train(model.clone(column=c), jax.random.key(0))) for c in range(3)]
    chosen = set()
    step = jax.jit(lambda key: train(model, key))
    for seed in range(12):
        logits = np.asarray(step(jax.random.key(seed)))
        matches = [c for c in range(3) if np.allclose(logits, columns[c], atol=1e-4)]
        assert len(matches) == 1
        chosen.update(matches)
    assert chosen == {0, 1, 2}


def test_local_paths_keep_each_input_at_the_rate_and_at_least_one():
    paths = DropPath(jax.random.key(0), 0.15, jnp.array(False), jnp.array(0))
    keys = jax.random.split(jax.random.key(1), 4000)
    kept = np.asarray(jax.vmap(lambda k: keep_paths(paths, jnp.arange(3), k))(keys))
    assert kept.sum(1).min() >= 1
    # All three are dropped with probability 0.15^3, and one of them then stays.
    expected = 0.85 + 0.15**3 / 3
    np.testing.assert_allclose(kept.mean(0), expected, atol=4 * np.sqrt(0.15 * 0.85 / 4000))
    always = DropPath(jax.random.key(0), 1.0, jnp.array(False), jnp.array(0))
    survivors = np.asarray(jax.vmap(lambda k: keep_paths(always, jnp.arange(3), k))(keys))
    np.testing.assert_array_equal(survivors.sum(1), np.ones(4000))
    np.testing.assert_allclose(survivors.mean(0), 1 / 3, atol=0.04)


def test_a_join_is_the_mean_of_what_is_kept():
    inputs = [jnp.full((1, 2, 2, 1), v) for v in (1.0, 2.0, 6.0)]
    np.testing.assert_allclose(join(inputs, [0, 1, 2], None, None), np.full((1, 2, 2, 1), 3.0))
    paths = DropPath(jax.random.key(0), 0.5, jnp.array(False), jnp.array(0))
    possible = {1.0, 2.0, 6.0, 1.5, 3.5, 4.0, 3.0}
    for seed in range(10):
        y = np.asarray(join(inputs, [0, 1, 2], paths, jax.random.key(seed)))
        assert len(np.unique(y)) == 1
        assert float(y.flat[0]) in possible


def test_evaluation_draws_nothing():
    model = network()
    variables = drawn(variables_of(model, SIZE))
    np.testing.assert_array_equal(
        model.apply(variables, images()),
        model.clone(local_drop_rate=0.0, global_fraction=0.0).apply(variables, images()),
    )
