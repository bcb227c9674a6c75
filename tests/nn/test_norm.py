"""nn.BatchNorm and nn.LocalResponseNorm."""

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import nn

IMAGES = 2.0 + 3.0 * jax.random.normal(jax.random.key(0), (4, 5, 6, 7))


@pytest.mark.parametrize("use_running_average", [True, False])
def test_batch_norm_has_flax_variables_and_values(use_running_average):
    fields = {"use_running_average": use_running_average, "momentum": 0.9, "epsilon": 1e-3}
    ours, theirs = nn.BatchNorm(**fields), linen.BatchNorm(**fields)
    variables = {
        "params": {"scale": jnp.arange(7.0), "bias": jnp.arange(7.0)[::-1]},
        "batch_stats": {"mean": jnp.linspace(-1, 1, 7), "var": jnp.linspace(1, 9, 7)},
    }
    assert jax.tree.structure(ours.init(jax.random.key(0), IMAGES)) == jax.tree.structure(variables)
    got, expected = (bn.apply(variables, IMAGES, mutable=["batch_stats"]) for bn in (ours, theirs))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-5), got, expected)


def test_batch_norm_averages_statistics_over_a_mapped_axis():
    bn = nn.BatchNorm(use_running_average=False, axis_name="replica")
    variables = bn.init(jax.random.key(0), IMAGES)
    whole, whole_stats = bn.clone(axis_name=None).apply(variables, IMAGES, mutable=["batch_stats"])
    parts, part_stats = jax.vmap(
        lambda x: bn.apply(variables, x, mutable=["batch_stats"]), axis_name="replica"
    )(IMAGES.reshape(2, 2, *IMAGES.shape[1:]))
    np.testing.assert_allclose(parts.reshape(IMAGES.shape), whole, atol=1e-5)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a[0], b, atol=1e-5), part_stats, whole_stats
    )


def test_batch_norm_takes_bfloat16_and_keeps_float32_statistics():
    bn = nn.BatchNorm(use_running_average=False, dtype=jnp.bfloat16)
    x = IMAGES.astype(jnp.bfloat16)
    y, variables = bn.init_with_output(jax.random.key(0), x)
    assert y.dtype == jnp.bfloat16
    assert {v.dtype for v in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    np.testing.assert_allclose(y.astype(jnp.float32).mean((0, 1, 2)), np.zeros(7), atol=0.02)
    np.testing.assert_allclose(y.astype(jnp.float32).std((0, 1, 2)), np.ones(7), atol=0.02)
