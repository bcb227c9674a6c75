"""nn.Dense: flax.linen.Dense's fields, parameters and values."""

import dataclasses
from typing import Any

import flax.errors
import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import nn

X = jax.random.normal(jax.random.key(1), (3, 2, 7))


def test_has_every_field_of_flax_dense_with_the_same_default():
    ours = {f.name: f.default for f in dataclasses.fields(nn.Dense)}
    for field in dataclasses.fields(linen.Dense):
        assert ours[field.name] == field.default, field.name


@pytest.mark.parametrize("fields", [{}, {"use_bias": False}, {"dtype": jnp.bfloat16}], ids=str)
def test_agrees_with_flax_dense_from_the_same_parameters(fields):
    theirs, ours = linen.Dense(5, **fields), nn.Dense(5, **fields)
    variables = theirs.init(jax.random.key(0), X)
    same = jax.tree.map(np.array_equal, ours.init(jax.random.key(0), X), variables)
    assert all(jax.tree.leaves(same))

    def loss(module, variables, x):
        return jnp.sum(jnp.sin(module.apply(variables, x).astype(jnp.float32)))

    # Both round to bfloat16 at the same places but for the gradients' sums.
    tolerance = 3e-2 if "dtype" in fields else 1e-5
    found, expected = (jax.grad(loss, (1, 2))(m, variables, X) for m in (ours, theirs))
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)
    y: Any = ours.apply(variables, X)
    expected_y: Any = theirs.apply(variables, X)
    np.testing.assert_allclose(y, expected_y, rtol=tolerance)


def test_native_gradients_allow_forward_mode():
    layer = nn.Dense(4, backward="native")
    variables: Any = layer.init(jax.random.key(0), X)
    _, tangent = jax.jvp(lambda x: layer.apply(variables, x), (X,), (X,))
    np.testing.assert_allclose(tangent, X @ variables["params"]["kernel"], rtol=1e-5, atol=1e-6)


def test_another_product_is_refused():
    with pytest.raises(ValueError, match=r"Dense head: dot_general .*flax\.linen\.Dense"):
        nn.Dense(4, dot_general=jax.lax.dot_general, name="head").init(jax.random.key(0), X)


def test_a_kernel_that_does_not_fit_names_the_layer():
    variables = nn.Dense(4).init(jax.random.key(0), X)

    class Two(linen.Module):
        @linen.compact
        def __call__(self, x):
            return nn.Dense(4, name="head")(x)

    with pytest.raises(flax.errors.ScopeParamShapeError, match="/head"):
        Two().apply({"params": {"head": variables["params"]}}, X[..., :5])
