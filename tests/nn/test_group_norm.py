"""nn.GroupNorm against its defining sums and flax's layer."""

from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import nn

IMAGES = 2.0 + 3.0 * jax.random.normal(jax.random.key(0), (3, 4, 5, 12))


def reference(x, groups, scale, bias, epsilon):
    """Returns Wu and He's equations 1, 2 and 7, in float64."""
    parts = np.asarray(x, np.float64).reshape(*x.shape[:-1], groups, -1)
    axes = (1, 2, 4)
    mean, variance = parts.mean(axes, keepdims=True), parts.var(axes, keepdims=True)
    normalized = ((parts - mean) / np.sqrt(variance + epsilon)).reshape(x.shape)
    return normalized * np.asarray(scale) + np.asarray(bias)


@pytest.mark.parametrize("groups", [1, 3, 12])
def test_values_follow_the_defining_sums_with_flax_parameters(groups):
    ours, theirs = (module(groups, epsilon=1e-3) for module in (nn.GroupNorm, linen.GroupNorm))
    variables = {"params": {"scale": jnp.linspace(0.5, 2, 12), "bias": jnp.linspace(-1, 1, 12)}}
    initial = ours.init(jax.random.key(0), IMAGES)
    assert jax.tree.map(jnp.shape, initial) == jax.tree.map(jnp.shape, variables)
    y: Any = ours.apply(variables, IMAGES)
    np.testing.assert_array_equal(y, theirs.apply(variables, IMAGES))
    expected = reference(IMAGES, groups, **variables["params"], epsilon=1e-3)
    np.testing.assert_allclose(y, expected, atol=2e-5)


@pytest.mark.parametrize(("most", "groups"), [(32, 12), (5, 4), (7, 6), (1, 1)])
def test_fitted_groups_are_the_greatest_divisor_of_the_channels(most, groups):
    fitted: Any = nn.GroupNorm(most, fit_channels=True)
    y, variables = fitted.init_with_output(jax.random.key(0), IMAGES)
    expected = reference(IMAGES, groups, epsilon=1e-6, **variables["params"])
    np.testing.assert_allclose(y, expected, atol=2e-5)


def test_a_number_of_groups_that_does_not_divide_the_channels_is_refused():
    with pytest.raises(ValueError, match=r"groups \(5\) does not divide .* \(12\)"):
        nn.GroupNorm(5).init(jax.random.key(0), IMAGES)


def test_half_precision_passes_under_strict_promotion():
    norm = nn.GroupNorm(4, dtype=jnp.bfloat16)
    variables = norm.init(jax.random.key(0), IMAGES)
    half: Any = norm.apply(variables, IMAGES.astype(jnp.bfloat16))
    assert half.dtype == jnp.bfloat16
    whole: Any = nn.GroupNorm(4).apply(variables, IMAGES)
    np.testing.assert_allclose(half.astype(np.float32), whole, atol=0.05)


def test_examples_do_not_influence_each_other():
    norm = nn.GroupNorm(4)
    variables = norm.init(jax.random.key(0), IMAGES)
    together: Any = norm.apply(variables, IMAGES)
    alone: Any = norm.apply(variables, IMAGES[:1])
    np.testing.assert_allclose(together[:1], alone, atol=1e-6)
