"""Gradients by layer and by term of the loss, against closed forms and finite differences."""

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from cnnjax.analysis.behavior.gradients import gradients_of, layer_gradients
from cnnjax.models.net import Net
from tests.analysis.nets import initialized
from tests.analysis.test_signals import Two, cross_entropy, squared


class TwoHeads(Net):
    """A linear network whose auxiliary heads follow its first and its second layer."""

    @linen.compact
    def __call__(self, x, train=False):
        x = self.feature("flat", x.reshape(len(x), -1))
        for number in (1, 2):
            x = linen.Dense(6, name=f"layer{number}")(x)
            if self.wants_auxiliary(f"aux{number}"):
                self.feature(f"aux{number}", linen.Dense(3, name=f"aux{number}")(x))
        return self.logits(x)


@pytest.fixture(scope="module")
def heads():
    model = TwoHeads(3)
    variables, images = initialized(model, (5, 2, 2, 3))
    return model, variables, images, {"label": np.arange(5) % 3}


WEIGHTS = {"aux1": 0.3, "aux2": 0.4}


def test_gradients_of_a_linear_network_are_the_closed_form():
    """Of the mean of |x A B - t|²: 2/n Aᵀ-side products, written out."""
    variables, x = initialized(Two(), (5, 6))
    target = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    a, b = (np.asarray(variables["params"][name]["kernel"], np.float64) for name in "ab")
    x64 = np.asarray(x, np.float64)
    error = 2 / 5 * (x64 @ a @ b - target)
    by_bias_b, by_b = error.sum(axis=0), (x64 @ a).T @ error
    by_bias_a, by_a = (error @ b.T).sum(axis=0), x64.T @ error @ b.T
    first, last = layer_gradients(Two(), variables, x, {"target": target}, squared)
    assert [first.name, last.name] == ["a", "b"]
    assert first.total == pytest.approx(np.hypot(np.linalg.norm(by_a), np.linalg.norm(by_bias_a)))
    assert last.total == pytest.approx(np.hypot(np.linalg.norm(by_b), np.linalg.norm(by_bias_b)))
    assert last.parameters == pytest.approx(np.linalg.norm(b))
    assert last.terms == {"output": last.total} and last.others == 0


def test_one_backward_pass_of_the_weighted_sum_equals_the_sum_of_the_heads(heads):
    model, variables, images, batch = heads
    layers = layer_gradients(model, variables, images, batch, cross_entropy, heads=WEIGHTS)
    assert [layer.name for layer in layers] == ["layer1", "aux1", "layer2", "aux2", "classifier"]

    def whole(params):
        logits, kept = model.apply({"params": params}, images, mutable=["features"])
        losses = cross_entropy(logits, batch)
        for name, weight in WEIGHTS.items():
            losses = losses + weight * cross_entropy(kept["features"][name], batch)
        return losses.mean()

    # Layers are in the order of their calls, however often the function was traced before.
    again = layer_gradients(model, variables, images, batch, cross_entropy, heads=WEIGHTS)
    assert again == layers
    gradient = jax.grad(whole)(variables["params"])
    for layer in layers:
        expected = np.sqrt(sum(float((g**2).sum()) for g in gradient[layer.name].values()))
        assert layer.total == pytest.approx(expected, rel=1e-5)


def test_each_head_reaches_the_layers_before_it(heads):
    """Main only, heads only, and both: against central differences along the gradient."""
    model, variables, images, batch = heads
    by_name = {
        layer.name: layer
        for layer in layer_gradients(model, variables, images, batch, cross_entropy, heads=WEIGHTS)
    }
    assert by_name["layer2"].terms["aux1"] == by_name["classifier"].others == 0
    assert by_name["aux1"].terms["output"] == by_name["aux2"].terms["aux1"] == 0
    assert by_name["layer2"].others == pytest.approx(by_name["layer2"].terms["aux2"])

    params = {k: np.asarray(v, np.float64) for k, v in flatten_dict(variables["params"]).items()}
    x, labels = np.asarray(images, np.float64).reshape(5, -1), batch["label"]

    def loss(kernel, terms):
        def dense(x, name):
            weights = kernel if name == "layer1" else params[(name, "kernel")]
            return x @ weights + params[(name, "bias")]

        one = dense(x, "layer1")
        two = dense(one, "layer2")
        logits = {"aux1": dense(one, "aux1"), "aux2": dense(two, "aux2")}
        logits["output"] = dense(two, "classifier")
        total = 0.0
        for name, weight in terms.items():
            z = logits[name]
            total += weight * (np.log(np.exp(z).sum(axis=1)) - z[np.arange(5), labels]).mean()
        return total

    def differences(terms):
        kernel, gradient = params[("layer1", "kernel")], []
        for place in np.ndindex(kernel.shape):
            step = np.zeros_like(kernel)
            step[place] = 1e-5
            gradient.append((loss(kernel + step, terms) - loss(kernel - step, terms)) / 2e-5)
        return np.asarray(gradient)

    def bias_of(terms):
        # The bias is as if the input had one more value, 1.
        one, gradient = params[("layer1", "bias")].copy(), []
        for place in range(len(one)):
            sides = []
            for sign in (1, -1):
                params[("layer1", "bias")] = one + sign * 1e-5 * (np.arange(len(one)) == place)
                sides.append(loss(params[("layer1", "kernel")], terms))
            gradient.append((sides[0] - sides[1]) / 2e-5)
        params[("layer1", "bias")] = one
        return np.asarray(gradient)

    for terms, value in (
        ({"output": 1.0}, by_name["layer1"].terms["output"]),
        (WEIGHTS, by_name["layer1"].others),
        ({"output": 1.0, **WEIGHTS}, by_name["layer1"].total),
    ):
        norm = np.hypot(np.linalg.norm(differences(terms)), np.linalg.norm(bias_of(terms)))
        assert value == pytest.approx(norm, rel=1e-4)


def test_heads_that_are_not_there_are_refused(heads):
    model, variables, images, batch = heads
    with pytest.raises(ValueError, match=r"no feature 'aux3'.*aux2"):
        layer_gradients(model, variables, images, batch, cross_entropy, heads={"aux3": 1.0})
    plain, x = initialized(Two(), (5, 6))
    with pytest.raises(ValueError, match="Two names no features"):
        layer_gradients(Two(), plain, x, batch, cross_entropy, heads={"aux1": 1.0})
    with pytest.raises(ValueError, match="no terms"):
        gradients_of(lambda variables, x: {}, plain, jnp.zeros(()))
