"""Frozen layers through whole runs: neither parameters nor batch statistics of theirs move."""

import flax.linen as linen
import jax
import numpy as np
import optax
import pytest

from cnnjax import data, tasks, training
from cnnjax.training.devices.placement import make_placement
from cnnjax.training.loop.gradient import loss_gradient
from cnnjax.training.loop.trainer import Trainer

LAYOUTS = {
    "one": training.Parallel(),
    "jit": training.Parallel("jit"),
    "pmap": training.Parallel("pmap"),
}
FROZEN = "_0"
"""How the names of frozen layers end; the head is not frozen."""


class Two(linen.Module):
    """Convolution and flax's batch norm, twice."""

    @linen.compact
    def __call__(self, x, train=False):
        for _ in range(2):
            x = linen.Conv(4, (3, 3), strides=2)(x)
            x = linen.relu(linen.BatchNorm(use_running_average=not train, momentum=0.9)(x))
        return linen.Dense(3, name="head")(x.mean(axis=(1, 2)))


@pytest.fixture(scope="module")
def run():
    """Two epochs of three steps, from odd numbers in place of zeros and ones."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (96, 8, 8, 1)).astype(np.uint8)
    run = training.Run(
        model=Two(),
        task=tasks.Classification(("a", "b", "c")),
        train=data.from_arrays(image=images, label=rng.integers(0, 3, 96)),
        optimizer=optax.adamw(1e-2, weight_decay=0.1),
        epochs=2,
        batch_size=32,
        frozen=(f"(Conv|BatchNorm){FROZEN}/.*",),
        accumulate=2,
        ema_decay=0.9,
    )
    odd = jax.tree.map(lambda leaf: np.asarray(leaf) + np.float32(0.1), run.init_state().variables)
    return run.replace(variables=odd)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_frozen_layers_keep_parameters_and_statistics_to_the_bit(run, layout):
    after = training.fit(run, parallel=LAYOUTS[layout], progress=False).variables
    for collection, layers in run.variables.items():
        for layer, arrays in layers.items():
            for name, before in arrays.items():
                same = np.array_equal(before, after[collection][layer][name])
                assert same == layer.endswith(FROZEN), (collection, layer, name)


def test_the_gradient_apart_from_the_step_is_the_steps_own(run):
    """As it is in histograms: on frozen statistics too, and of as many parts."""
    plain = run.replace(optimizer=optax.sgd(1.0), ema_decay=0.0)
    state = plain.init_state()
    placement = make_placement(LAYOUTS["one"], state.params, 32, plain.accumulate)
    trainer = Trainer(plain, state, placement)
    before = trainer.host_state()
    gradient = loss_gradient(plain, before, trainer.batch(0))
    trainer.advance()
    moved = jax.tree.map(np.subtract, before.params, trainer.host_state().params)
    for layer, arrays in moved.items():
        for name, step in arrays.items():
            if not layer.endswith(FROZEN):
                np.testing.assert_allclose(step, gradient[layer][name], rtol=1e-4, atol=1e-6)
