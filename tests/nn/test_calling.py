"""nn.init_network and nn.apply_network: the calling convention of any Linen module."""

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import nn

X = jax.random.normal(jax.random.key(0), (4, 6, 6, 3))


def network(signature, training):
    """A net with batch norm and dropout whose `__call__` has one more argument, or none."""
    space = {}
    exec(f"def call(self, x{signature}): return self.body(x, {training})", space)
    space["call"].__annotations__ = {}

    class Net(linen.Module):
        @linen.compact
        def body(self, x, training):
            x = linen.Dense(5)(x.mean(axis=(1, 2)))
            x = linen.BatchNorm(use_running_average=not training)(x)
            return linen.Dropout(0.5, deterministic=not training)(x)

        __call__ = space["call"]

    return Net()


SIGNATURES = {
    "train": (", train=False", "train"),
    "needed": (", train", "train"),
    "keyword": (", *, training: bool", "training"),
    "is_train": (", is_train=True", "is_train"),
    "is_training": (", is_training", "is_training"),
    "deterministic": (", deterministic=True", "not deterministic"),
    "use_running_average": (", use_running_average", "not use_running_average"),
    "eval": (", eval=False", "not eval"),
    "inference": (", inference=False", "not inference"),
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_each_name_of_the_mode_is_understood(name):
    net, key = network(*SIGNATURES[name]), jax.random.key(3)
    variables = nn.init_network(net, jax.random.key(1), X)
    outputs, updated = nn.apply_network(net, variables, X, train=True, key=key)
    expected, stats = net.apply(
        variables, X, True, method="body", mutable=["batch_stats"], rngs={"dropout": key}
    )
    np.testing.assert_array_equal(outputs, expected)
    jax.tree.map(np.testing.assert_array_equal, updated, dict(stats))
    evaluated = nn.apply_network(net, variables, X, train=False)
    np.testing.assert_array_equal(evaluated, net.apply(variables, X, False, method="body"))
    assert int((outputs == 0).sum()) > 0 == int((evaluated == 0).sum())


def test_a_module_without_a_mode_is_called_without_a_switch():
    class Fixed(linen.Module):
        @linen.compact
        def __call__(self, x):
            return linen.BatchNorm(use_running_average=True)(linen.Dense(2)(x))

    variables = nn.init_network(Fixed(), jax.random.key(0), X)
    outputs, updated = nn.apply_network(Fixed(), variables, X, train=True)
    np.testing.assert_array_equal(outputs, nn.apply_network(Fixed(), variables, X, train=False))
    jax.tree.map(np.testing.assert_array_equal, updated["batch_stats"], variables["batch_stats"])
    chain = linen.Sequential([linen.Dense(4), linen.relu, linen.Dense(2)])
    variables = nn.init_network(chain, jax.random.key(0), X)
    outputs, updated = nn.apply_network(chain, variables, X, train=True)
    assert updated == {} and outputs.shape == (4, 6, 6, 2)


def test_a_switch_that_is_set_as_a_field_is_left_to_the_field():
    held = linen.BatchNorm(use_running_average=True)
    variables = nn.init_network(held, jax.random.key(0), X)
    _, updated = nn.apply_network(held, variables, X, train=True)
    jax.tree.map(np.testing.assert_array_equal, updated, {"batch_stats": variables["batch_stats"]})
    free = linen.BatchNorm()
    _, updated = nn.apply_network(free, variables, X, train=True)
    assert float(jnp.abs(updated["batch_stats"]["mean"]).max()) > 0


class Noisy(linen.Module):
    """Keys of two names, a nested state of its own, and what it sows."""

    @linen.compact
    def __call__(self, x, training=False):
        seen = self.variable("memory", "seen", lambda: {"calls": jnp.int32(0), "sum": jnp.zeros(3)})
        if training and not self.is_initializing():
            total = x.sum(axis=(0, 1, 2))
            seen.value = {"calls": seen.value["calls"] + 1, "sum": seen.value["sum"] + total}
            x = x + jax.random.normal(self.make_rng("noise"), x.shape)
        self.sow("penalties", "size", jnp.sum(x * x))
        x = linen.Dense(2)(x)
        return linen.Dropout(0.5, deterministic=not training)(x)


def test_keys_of_any_name_and_further_collections_work():
    variables = nn.init_network(Noisy(), jax.random.key(0), X)
    assert set(variables) == {"params", "memory"}
    draws = [
        nn.apply_network(Noisy(), variables, X, train=True, key=jax.random.key(n))
        for n in (1, 1, 2)
    ]
    np.testing.assert_array_equal(draws[0][0], draws[1][0])
    assert float(jnp.abs(draws[0][0] - draws[2][0]).max()) > 0.1
    updated = draws[0][1]
    assert jax.tree.structure(updated) == jax.tree.structure({"memory": variables["memory"]})
    assert int(updated["memory"]["seen"]["calls"]) == 1
    _, both = nn.apply_network(
        Noisy(), variables, X, train=True, key=jax.random.key(1), mutable=["penalties"]
    )
    assert set(both) == {"memory", "penalties"} and len(both["penalties"]["size"]) == 1


def test_evaluation_changes_only_mutable_collections():
    variables = nn.init_network(Noisy(), jax.random.key(0), X)
    assert nn.apply_network(Noisy(), variables, X, train=False).shape == (4, 6, 6, 2)
    _, updated = nn.apply_network(Noisy(), variables, X, train=False, mutable="penalties")
    assert set(updated) == {"penalties"}
    _, updated = nn.apply_network(Noisy(), variables, X, train=False, mutable=True)
    assert set(updated) == {"memory"}


def test_initial_values_do_not_depend_on_the_name_of_the_mode():
    values = [
        nn.init_network(network(*SIGNATURES[name]), jax.random.key(5), X)
        for name in ("train", "inference")
    ]
    jax.tree.map(np.testing.assert_array_equal, *values)


def test_options_reach_apply_and_other_methods():
    net = network(*SIGNATURES["train"])
    variables = nn.init_network(net, jax.random.key(1), X)
    outputs, updated = nn.apply_network(
        net, variables, X, train=False, mutable=["intermediates"], capture_intermediates=True
    )
    assert updated["intermediates"]["Dense_0"]["__call__"][0].shape == outputs.shape
    drawn, _ = nn.apply_network(
        net, variables, X, train=True, key=jax.random.key(0), method="body", training=True
    )
    asked, _ = nn.apply_network(net, variables, X, train=True, key=jax.random.key(0))
    np.testing.assert_array_equal(drawn, asked)


def test_arguments_that_do_not_fit_are_refused():
    class Two(linen.Module):
        @linen.compact
        def __call__(self, x, mask, train=False):
            return linen.Dense(2)(x) * mask

    with pytest.raises(TypeError, match=r"Two: __call__ needs the argument 'mask'.*mask=\.\.\."):
        nn.init_network(Two(), jax.random.key(0), X)
    variables = Two().init(jax.random.key(0), X, 1.0)
    with pytest.raises(TypeError, match=r"takes no argument 'mode'; it takes the input and"):
        nn.apply_network(Two(), variables, X, train=False, mask=1.0, mode="test")
    assert nn.apply_network(Two(), variables, X, train=False, mask=1.0).shape == (4, 6, 6, 2)
