"""Activations by name: values and derivatives against their formulas, and what is refused."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import nn

X = np.concatenate([np.linspace(-4, 4, 33), [-1e-3, 1e-3, 30.0, -30.0]])
TANH_GELU = np.tanh(np.sqrt(2 / np.pi) * (X + 0.044715 * X**3))
FORMULAS = {
    "relu": np.maximum(X, 0),
    "relu6": np.clip(X, 0, 6),
    "leaky_relu": np.where(X > 0, X, 0.01 * X),
    "scaled_tanh": 1.7159 * np.tanh(2 * X / 3),
    "tanh": np.tanh(X),
    "sigmoid": 1 / (1 + np.exp(-X)),
    "elu": np.where(X > 0, X, np.expm1(X)),
    "silu": X / (1 + np.exp(-X)),
    "gelu": X * (1 + TANH_GELU) / 2,
    "identity": X,
}


def test_every_activation_of_the_package_has_a_formula_here():
    own = [name for name in nn.ACTIVATIONS if not nn.ACTIVATIONS.record(name)]
    assert own == sorted(FORMULAS)


@pytest.mark.parametrize("name", FORMULAS)
def test_values_follow_the_formula(name):
    got = nn.find_activation(name)(jnp.asarray(X, jnp.float32))
    np.testing.assert_allclose(got, FORMULAS[name], rtol=2e-6, atol=2e-6)


def test_gelu_is_near_its_definition_by_the_error_function():
    exact = [x * (1 + math.erf(x / math.sqrt(2))) / 2 for x in X]
    np.testing.assert_allclose(nn.find_activation("gelu")(jnp.asarray(X)), exact, atol=5e-4)


@pytest.mark.parametrize("name", FORMULAS)
def test_derivatives_agree_with_central_differences(name):
    activate = nn.find_activation(name)
    with jax.enable_x64(True):
        # 0 and its surroundings are left out: there the rectifiers have a kink.
        x = jnp.asarray(X[np.abs(X) > 0.01])
        step = 1e-5
        expected = (activate(x + step) - activate(x - step)) / (2 * step)
        derivative = jax.vmap(jax.grad(lambda v: activate(v)))(x)
        np.testing.assert_allclose(derivative, expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", FORMULAS)
def test_dtype_is_kept(name):
    assert nn.find_activation(name)(jnp.ones((2, 3), jnp.bfloat16)).dtype == jnp.bfloat16


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("rellu", "unknown activation 'rellu'; did you mean relu"),
        ("", "unknown activation"),
        ("no_such_package_here:relu", "no_such_package_here"),
        ("math:pi", "activation 'math:pi' is a float, which can't be called"),
        (None, "activation must be a name or a path, got None"),
        (jax.nn.relu, "register a function of your own with nn.ACTIVATIONS.register"),
    ],
)
def test_what_is_no_activation_is_refused(name, message):
    with pytest.raises(ValueError, match=message):
        nn.find_activation(name)


def test_a_path_is_an_activation():
    softplus = nn.find_activation("jax.nn:softplus")
    np.testing.assert_allclose(softplus(jnp.asarray(X)), np.logaddexp(X, 0), rtol=1e-6, atol=1e-6)
    # The same function each time, which programs and fields are compared by.
    assert nn.find_activation("jax.nn:softplus") is softplus
