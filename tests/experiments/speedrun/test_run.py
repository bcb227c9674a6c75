"""A whole run of the speedrun: dispatched in two ways, learning, repeatable, in two phases."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.speedrun import network, views
from experiments.speedrun.batches import Batches
from experiments.speedrun.programs import make_programs
from experiments.speedrun.recipes import RECIPES
from experiments.speedrun.run import Run, State, StepInput
from tests.experiments.speedrun.small_run import PREPROCESS, SIZE, pictures


def test_one_program_and_one_a_step_train_the_same(both_ways):
    (whole, whole_losses, whole_right, _), (step, step_losses, step_right, _) = both_ways.values()
    assert whole_losses.shape == (12,)
    np.testing.assert_allclose(whole_losses, step_losses, rtol=1e-4)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4), whole, step)
    assert [int(n) for n in whole_right] == [int(n) for n in step_right]


def test_two_classes_are_learned(both_ways):
    _, losses, right, _ = both_ways["step"]
    assert np.mean(losses[-2:]) < 0.9 * np.mean(losses[:2])
    assert int(right[1]) >= 5


def test_a_seed_repeats_itself_and_another_differs(both_ways):
    variables, losses, _, programs = both_ways["step"]
    again, same_losses = programs.train(jax.random.key(0))
    np.testing.assert_array_equal(losses, same_losses)
    jax.tree.map(np.testing.assert_array_equal, variables, again)
    assert not np.array_equal(losses, programs.train(jax.random.key(1))[1])


def test_the_whitening_layer_keeps_the_kernel_that_was_computed(both_ways):
    variables = both_ways["step"][0]
    images = (pictures(36, seed=0)[0] / 255 - 0.5) / 0.25
    windows = np.lib.stride_tricks.sliding_window_view(images, (2, 2), axis=(1, 2))
    kernel = np.asarray(variables["params"]["whiten"]["kernel"])
    outputs = np.einsum("nyxchw,hwco->nyxo", windows, kernel).reshape(-1, 24)[:, :12]
    moments = outputs.T @ outputs / len(outputs)
    np.testing.assert_allclose(moments, np.eye(12), atol=0.02)


def test_no_gradient_reaches_the_whitening_layer_once_it_is_frozen(both_ways):
    variables = both_ways["step"][0]
    model = network.SpeedNet(width=2, num_classes=2)

    def loss(whiten):
        logits: Any = model.apply(
            {**variables, "params": {**variables["params"], "whiten": whiten}},
            jnp.ones((2, SIZE, SIZE, 3)),
            train=False,
            train_whitening=False,
        )
        return jnp.square(logits).sum()

    grads = jax.jit(jax.grad(loss))(variables["params"]["whiten"])
    assert not np.any(grads["bias"]) and not np.any(grads["kernel"])


class Phases(Run):
    """A run whose losses are 1 where the whitening layer is trained, and 0 otherwise."""

    def start(self, key, images):
        del key
        given = StepInput(Batches(*[jnp.zeros(self.total_steps)] * 3), jnp.zeros(self.total_steps))
        return State(jnp.zeros(()), (), (), ()), given, images

    def step(self, state, given, padded, labels, train_whitening):
        del given, padded, labels
        return state._replace(params=state.params + 1), jnp.float32(train_whitening)

    def evaluate_chunk(self, variables, chunk):
        del chunk
        count = variables["params"].astype(jnp.int32)
        return count, count


@pytest.mark.parametrize("way", ["whole", "step"])
@pytest.mark.parametrize(("epochs", "trained"), [(3.5, 4), (1, 2)])
def test_the_whitening_layer_is_trained_in_the_first_epochs_alone(way, epochs, trained):
    recipe = dataclasses.replace(RECIPES["sgd"].resized(epochs, 4), whitening_epochs=2)
    run = Phases(recipe, network.SpeedNet(), PREPROCESS, examples=9)
    train = pictures(9, seed=0)
    programs = make_programs(run, *train, views.cut_into_chunks(*train), way)
    variables, losses = programs.train(jax.random.key(0))
    total = int(2 * epochs)
    assert losses.tolist() == [1.0] * trained + [0.0] * (total - trained)
    assert int(variables["params"]) == total


def tiny(name):
    recipe = dataclasses.replace(RECIPES[name].resized(epochs=3, batch_size=8), whitening_epochs=1)
    model = network.SpeedNet(2, 2, activation=recipe.activation, norm_momentum=recipe.norm_momentum)
    return Run(recipe, model, PREPROCESS, examples=36)


@pytest.mark.parametrize(
    "name", ["batched_muon", *(pytest.param(n, marks=pytest.mark.slow) for n in ("muon", "sgd"))]
)
def test_training_and_evaluation_are_lowered_for_cuda(name):
    run = tiny(name)
    images, labels = map(jnp.asarray, pictures(36, seed=0))
    chunks = views.cut_into_chunks(*pictures(6, seed=1), size=4)
    key = jax.random.key(0)
    trained = jax.eval_shape(run.train, key, images, labels)[0]
    for function, given in ((run.train, (key, images, labels)), (run.evaluate, (trained, chunks))):
        exported = jax.export.export(jax.jit(function), platforms=["cuda"])(*given)
        assert exported.platforms == ("cuda",) and "convolution" in exported.mlir_module()


@pytest.mark.slow
def test_the_recipe_with_batched_muon_learns_two_classes():
    programs = make_programs(
        tiny("batched_muon"),
        *pictures(36, seed=0),
        views.cut_into_chunks(*pictures(6, 1), 4),
        "step",
    )
    variables, losses = programs.train(jax.random.key(0))
    plain, mean = programs.evaluate(variables)
    assert np.mean(losses[-2:]) < 0.9 * np.mean(losses[:2])
    assert int(plain) >= 5 and int(mean) >= 5
