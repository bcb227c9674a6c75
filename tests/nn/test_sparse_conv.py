"""nn.SparseConv: each output map is connected to the maps of its row in the table only."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import nn

TABLE = ((0, 1), (2,), (0, 1, 2))


def test_has_weights_only_for_connections():
    shapes = jax.eval_shape(
        nn.SparseConv(TABLE, (5, 3)).init, jax.random.key(0), jnp.zeros((1, 8, 8, 3))
    )
    assert shapes["params"]["kernel"].shape == (5, 3, 6)
    assert shapes["params"]["bias"].shape == (3,)


def test_each_output_is_the_sum_over_its_input_maps():
    x = np.asarray(jax.random.normal(jax.random.key(1), (2, 6, 7, 3)), np.float64)
    conv = nn.SparseConv(TABLE, (3, 3))
    variables: Any = conv.init(jax.random.key(0), jnp.asarray(x, jnp.float32))
    kernel = np.asarray(variables["params"]["kernel"], np.float64)
    expected = np.zeros((2, 4, 5, 3))
    connection = 0
    for output, inputs in enumerate(TABLE):
        for map_ in inputs:
            for r in range(4):
                for c in range(5):
                    window = x[:, r : r + 3, c : c + 3, map_]
                    expected[:, r, c, output] += np.sum(window * kernel[..., connection], (1, 2))
            connection += 1
    got: Any = conv.apply(variables, jnp.asarray(x, jnp.float32))
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_a_map_that_the_input_lacks_is_refused():
    with pytest.raises(ValueError, match="names input map 2, but the input has maps 0 to 1"):
        jax.eval_shape(
            nn.SparseConv(TABLE, (3, 3)).init, jax.random.key(0), jnp.zeros((1, 8, 8, 2))
        )
