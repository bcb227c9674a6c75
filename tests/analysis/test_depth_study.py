"""What initializers and activations do with depth, against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import ops
from cnnjax.analysis.behavior.depth_study import depth_study, initializers


def test_depth_study_shows_what_initializers_do():
    choices = initializers()

    def study(activation, name):
        return depth_study(activation, choices[name], jax.random.key(0), depth=10, width=128)

    # The same weights everywhere keep all units the same.
    assert study(jnp.tanh, "constant 0.01").variety[1:].max() < 1e-3
    # Each layer multiplies the spread by 0.01 sqrt(128).
    small = study(lambda x: x, "N(0, 0.01²)")
    expected = (0.01 * np.sqrt(128)) ** np.arange(1, 11)
    np.testing.assert_allclose(small.std, expected, rtol=0.3)
    assert study(jnp.tanh, "N(0, 1)").saturated.min() > 0.6
    # He et al.: half of the units are off, and twice the variance makes up for it.
    he = study(jax.nn.relu, "He")
    size = np.hypot(he.mean, he.std)
    assert 0.5 < size[-1] / size[0] < 2
    assert study(jax.nn.relu, "LeCun").std[-1] < 0.2 * he.std[-1]
    # 1.7159 tanh(2x/3) keeps a spread of about 1 where tanh loses it.
    scaled, plain = study(ops.scaled_tanh, "LeCun"), study(jnp.tanh, "LeCun")
    assert scaled.std[-1] > 1.5 * plain.std[-1]


def test_signals_of_orthogonal_layers_keep_their_size():
    """An orthogonal matrix keeps every length, forwards and backwards."""

    def orthogonal(key, shape, dtype):
        return jnp.linalg.qr(jax.random.normal(key, shape))[0].astype(dtype)

    study = depth_study(lambda x: x, orthogonal, jax.random.key(0), depth=4, width=16, batch=64)
    size = np.hypot(study.mean, study.std)
    np.testing.assert_allclose(size, size[0], rtol=1e-4)
    np.testing.assert_allclose(study.gradient, study.gradient[-1], rtol=1e-4)
    assert study.gradient[-1] == pytest.approx(1, abs=0.1)
    # The identity is never saturated.
    np.testing.assert_array_equal(study.saturated, 0)


def test_initializers_have_their_published_spread():
    """LeCun: 1/n; Glorot: 2/(n + n); He: 2/n, of a square layer of n units."""
    spreads = {
        name: float(jnp.std(make(jax.random.key(0), (256, 256), jnp.float32)))
        for name, make in initializers().items()
    }
    expected = {
        "constant 0.01": 0,
        "N(0, 0.01²)": 0.01,
        "N(0, 1)": 1,
        "LeCun": 1 / 16,
        "Glorot": 1 / 16,
        "He": np.sqrt(2) / 16,
    }
    assert list(spreads) == list(expected)
    np.testing.assert_allclose(
        list(spreads.values()), list(expected.values()), rtol=0.02, atol=1e-6
    )
