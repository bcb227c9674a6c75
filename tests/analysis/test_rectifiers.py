"""ReLUs found, replaced and counted as dead."""

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import ops
from cnnjax.analysis.behavior.rectifiers import dead_units, run_with_rectifiers, sparsity
from tests.analysis.nets import initialized


def test_dead_units_are_those_that_never_fire():
    class Net(linen.Module):
        @linen.compact
        def __call__(self, x):
            bias = linen.initializers.constant(jnp.array([0.0, -100.0, 0.0]))
            x = linen.relu(linen.Conv(3, (3, 3), name="conv", bias_init=bias)(x))
            x = ops.relu(
                linen.Dense(4, name="dense", bias_init=linen.initializers.constant(-1e3))(x)
            )
            return jnp.maximum(x, 5.0)

    variables, images = initialized(Net(), (4, 6, 6, 2))
    dead = dead_units(Net(), variables, images)
    assert {name: d.tolist() for name, d in dead.items()} == {
        "conv": [False, True, False],
        "dense": [True] * 4,
    }


def test_a_unit_that_fires_for_one_image_of_many_lives():
    class Net(linen.Module):
        @linen.compact
        def __call__(self, x):
            return linen.relu(x * self.param("one", linen.initializers.ones, (1, 1)))

    # The last but one image of the second batch turns unit 2 on.
    images = np.full((100, 3), -1.0, np.float32)
    images[98, 2] = 0.5
    variables = Net().init(jax.random.key(0), images)
    (dead,) = dead_units(Net(), variables, images).values()
    assert dead.tolist() == [True, True, False]


class TwoRectifiers(linen.Module):
    """Two ReLUs after one layer, a maximum with another number, and a third ReLU."""

    @linen.compact
    def __call__(self, x):
        x = linen.Dense(3, name="a")(x)
        x = linen.relu(x) - 2 * jnp.maximum(0.0, -x)
        x = jnp.maximum(x, -100.0)
        return linen.relu(linen.Dense(2, name="b")(x))


def test_every_max_with_0_is_replaced_and_no_other():
    variables, inputs = initialized(TwoRectifiers(), (4, 5))
    names = []

    def identity(layer, x):
        names.append(layer)
        return x

    found = run_with_rectifiers(TwoRectifiers(), variables, inputs, identity)
    params = variables["params"]
    hidden = np.asarray(inputs, np.float64) @ np.asarray(params["a"]["kernel"])
    # x - 2 (-x) = 3 x.
    expected = 3 * hidden @ np.asarray(params["b"]["kernel"])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert names == ["a", "a", "b"]


def test_the_output_of_a_layer_is_returned_and_unknown_ones_are_refused():
    variables, inputs = initialized(TwoRectifiers(), (4, 5))
    found = run_with_rectifiers(
        TwoRectifiers(), variables, inputs, lambda _, x: jnp.maximum(x, 0), layer="a"
    )
    kernel = np.asarray(variables["params"]["a"]["kernel"], np.float64)
    np.testing.assert_allclose(found, np.asarray(inputs) @ kernel, rtol=1e-4, atol=1e-5)
    with pytest.raises(KeyError, match="no layer of TwoRectifiers is named 'c'"):
        run_with_rectifiers(TwoRectifiers(), variables, inputs, lambda _, x: x, layer="c")


def test_rectifiers_after_one_layer_have_names_of_their_own():
    variables, inputs = initialized(TwoRectifiers(), (64, 5))
    dead = dead_units(TwoRectifiers(), variables, inputs)
    assert list(dead) == ["a", "a'", "b"]
    hidden = np.asarray(inputs) @ np.asarray(variables["params"]["a"]["kernel"])
    np.testing.assert_array_equal(dead["a"], (hidden <= 0).all(axis=0))
    np.testing.assert_array_equal(dead["a'"], (hidden >= 0).all(axis=0))


def test_sparsity_is_the_share_of_zeros_of_each_relu():
    class Net(linen.Module):
        @linen.compact
        def __call__(self, x):
            x = linen.relu(linen.Dense(6, name="a")(x))
            # The second ReLU after one layer: everything is off.
            return linen.relu(x - 1e6)

    variables, inputs = initialized(Net(), (70, 5))
    hidden = np.asarray(inputs) @ np.asarray(variables["params"]["a"]["kernel"])
    shares = sparsity(Net(), variables, inputs)
    assert shares == {"a": pytest.approx((hidden <= 0).mean()), "a'": 1.0}


@pytest.mark.parametrize("norm", [linen.LayerNorm(), linen.GroupNorm(2), linen.RMSNorm()])
def test_the_variance_of_a_norm_is_no_relu(norm):
    class Net(linen.Module):
        norm: linen.Module

        @linen.compact
        def __call__(self, x):
            return linen.relu(self.norm(linen.Dense(6, name="a")(x)))

    variables, inputs = initialized(Net(norm), (7, 5))
    assert [len(dead) for dead in dead_units(Net(norm), variables, inputs).values()] == [6]
