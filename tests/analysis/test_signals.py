"""Signals and gradients by layer, against closed forms."""

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from cnnjax import models
from cnnjax.analysis.behavior.signals import layer_signals, signals_of
from tests.analysis.nets import initialized


class Two(linen.Module):
    @linen.compact
    def __call__(self, x):
        return linen.Dense(4, name="b")(linen.Dense(8, name="a")(x))


def cross_entropy(outputs, batch):
    return optax.softmax_cross_entropy_with_integer_labels(outputs, batch["label"])


def squared(outputs, batch):
    return ((outputs - batch["target"]) ** 2).sum(axis=-1)


def test_signals_of_a_dense_layer_are_the_softmax_gradient():
    variables, inputs = initialized(Two(), (16, 6))
    labels = np.arange(16) % 4
    first, last = layer_signals(Two(), variables, inputs, {"label": labels}, cross_entropy)
    hidden = np.asarray(inputs) @ np.asarray(variables["params"]["a"]["kernel"])
    weights = np.asarray(variables["params"]["b"]["kernel"])
    logits = hidden @ weights
    softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    gradient = softmax - np.eye(4)[labels]
    assert (first.name, last.name) == ("a", "b")
    assert last.gradient == pytest.approx(np.sqrt((gradient**2).mean()), rel=1e-4)
    assert first.gradient == pytest.approx(np.sqrt(((gradient @ weights.T) ** 2).mean()), rel=1e-4)
    assert first.std == pytest.approx(hidden.std(), rel=1e-4)
    assert first.off == pytest.approx((hidden <= 0).mean())
    assert first.zeros == 0


def test_any_loss_has_its_gradient_and_none_has_none():
    """The gradient of |y - t|² by y is 2 (y - t)."""
    variables, inputs = initialized(Two(), (5, 6))
    target = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    outputs = np.asarray(Two().apply(variables, inputs))
    *_, last = layer_signals(Two(), variables, inputs, {"target": target}, squared)
    expected = 2 * (outputs - target)
    assert last.gradient == pytest.approx(np.sqrt((expected**2).mean()), rel=1e-4)
    without = layer_signals(Two(), variables, inputs)
    assert [np.isnan(signal.gradient) for signal in without] == [True, True]
    assert without[-1].std == pytest.approx(outputs.std(), rel=1e-4)


def test_zeros_are_exact_ones_and_blocks_can_be_named():
    class Block(linen.Module):
        @linen.compact
        def __call__(self, x):
            return linen.relu(linen.Dense(6)(x))

    model = linen.Sequential([Block(), Block()])
    variables, inputs = initialized(model, (7, 5))
    first, second = layer_signals(model, variables, inputs, names=["layers_0", "layers_1"])
    hidden = np.maximum(
        np.asarray(inputs) @ np.asarray(variables["params"]["layers_0"]["Dense_0"]["kernel"]), 0
    )
    assert 0 < first.zeros == first.off == pytest.approx((hidden == 0).mean())
    assert second.name == "layers_1"
    with pytest.raises(KeyError, match="layers_0"):
        layer_signals(model, variables, inputs, names=["layers_O"])


def test_a_computation_that_applies_two_networks_is_measured():
    one, two = linen.Dense(3, name="one"), linen.Dense(2, name="two")
    x = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
    variables = {
        "one": one.init(jax.random.key(0), x),
        "two": two.init(jax.random.key(1), np.zeros((4, 3), np.float32)),
    }

    def compute(variables, x):
        outputs = two.apply(variables["two"], one.apply(variables["one"], x))
        return jnp.asarray(outputs).sum(axis=1)

    first, last = signals_of(compute, variables, x)
    kernel = np.asarray(variables["two"]["params"]["kernel"])
    assert last.gradient == pytest.approx(1)
    assert first.gradient == pytest.approx(np.sqrt((kernel.sum(axis=1) ** 2).mean()), rel=1e-4)


def test_layers_that_are_recomputed_are_left_out():
    model = models.create_model("resnet8_cifar", num_classes=3, remat=True)
    images = jnp.ones((1, 8, 8, 3))
    variables = model.init(jax.random.key(0), images)
    names = [signal.name for signal in layer_signals(model, variables, images)]
    assert names == ["conv1", "bn1", "classifier"]


def test_a_layer_called_twice_has_two_signals():
    class Twice(linen.Module):
        @linen.compact
        def __call__(self, x):
            layer = linen.Dense(3, use_bias=False, name="layer")
            return layer(layer(x))

    variables, inputs = initialized(Twice(), (5, 3))
    first, second = layer_signals(Twice(), variables, inputs)
    kernel = np.asarray(variables["params"]["layer"]["kernel"], np.float64)
    once = np.asarray(inputs) @ kernel
    assert (first.name, second.name) == ("layer", "layer#2")
    assert first.mean == pytest.approx(once.mean(), rel=1e-4, abs=1e-6)
    assert second.std == pytest.approx((once @ kernel).std(), rel=1e-4)
