"""nn.BatchNorm and nn.LocalResponseNorm."""

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np

from cnnjax import nn

IMAGES = 2.0 + 3.0 * jax.random.normal(jax.random.key(0), (4, 5, 6, 7))


def test_batch_norm_has_flax_variables_and_values():
    ours, theirs = nn.BatchNorm(momentum=0.9), linen.BatchNorm(momentum=0.9)
    variables = theirs.init(jax.random.key(0), IMAGES, use_running_average=False)
    for use_running_average in (True, False):
        got, expected = (
            bn.apply(variables, IMAGES, use_running_average, mutable=["batch_stats"])
            for bn in (ours, theirs)
        )
        jax.tree.map(np.testing.assert_array_equal, got, expected)


def test_batch_norm_takes_bfloat16_and_keeps_float32_statistics():
    bn = nn.BatchNorm(use_running_average=False, dtype=jnp.bfloat16)
    x = IMAGES.astype(jnp.bfloat16)
    y, variables = bn.init_with_output(jax.random.key(0), x)
    assert y.dtype == jnp.bfloat16
    assert {v.dtype for v in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    np.testing.assert_allclose(y.astype(jnp.float32).mean((0, 1, 2)), np.zeros(7), atol=0.02)
    np.testing.assert_allclose(y.astype(jnp.float32).std((0, 1, 2)), np.ones(7), atol=0.02)
