"""Gradual unfreezing: each part is trained from its epoch on, and is the same bits before."""

import itertools
from typing import Any

import jax
import numpy as np
import optax
import pytest

from cnnjax import data, recipes, tasks, training
from cnnjax.training.callbacks import Callback
from cnnjax.training.devices.placement import make_placement
from cnnjax.training.loop.trainer import Trainer
from tests.training.test_frozen import LAYOUTS, Two

UNFREEZE = (("head/.*", 0), (".*_1/.*", 1), (".*", 2))
"""The head at once, the second layers after one epoch, the first ones after two."""

EPOCH_STEPS = 2


def make_run(**changes):
    """Four epochs of two steps, from odd numbers in place of zeros and ones."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (32, 8, 8, 1)).astype(np.uint8)
    fields: dict[str, Any] = {
        "model": Two(),
        "task": tasks.Classification(("a", "b", "c")),
        "train": data.from_arrays(image=images, label=rng.integers(0, 3, 32)),
        "optimizer": optax.adam(1e-2),
        "epochs": 4,
        "batch_size": 16,
        "unfreeze": UNFREEZE,
    }
    run = training.Run(**{**fields, **changes})
    odd = jax.tree.map(lambda leaf: np.asarray(leaf) + np.float32(0.1), run.init_state().variables)
    return run.replace(variables=odd)


def states(run, steps, layout="one"):
    """Returns the states before the first step and after each of some steps."""
    state = run.init_state()
    placement = make_placement(LAYOUTS[layout], state.params, 16, run.accumulate)
    trainer = Trainer(run, state, placement)
    found = [trainer.host_state()]
    for _ in range(steps):
        trainer.advance()
        found.append(trainer.host_state())
    return found


def moved(before, after):
    """Returns the parts of the network of which some array differs."""
    return {
        layer
        for collection, layers in before.items()
        for layer, arrays in layers.items()
        for name, array in arrays.items()
        if not np.array_equal(array, after[collection][layer][name])
    }


LAYERS = [{"head"}, {"Conv_1", "BatchNorm_1"}, {"Conv_0", "BatchNorm_0"}]


RATES = [0.5, 0.1, 0.02, 0.004, 0.03, 0.006]


@pytest.fixture(scope="module")
def found():
    """The states of six steps by Adam with another rate each."""
    rates = jax.numpy.asarray(RATES)
    with jax.numpy_dtype_promotion("standard"):
        return states(make_run(optimizer=optax.adam(lambda step: rates[step], eps=0.0)), 6)


def test_parts_are_the_same_bits_until_their_epoch(found):
    """Batch statistics too, which are those of the batch from the epoch on."""
    for step, (before, after) in enumerate(itertools.pairwise(found)):
        trained = set().union(*LAYERS[: step // EPOCH_STEPS + 1])
        assert moved(before.variables, after.variables) == trained


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["jit", "pmap"])
def test_parts_wait_on_several_devices_too(layout):
    test_parts_are_the_same_bits_until_their_epoch(states(make_run(), 6, layout))


def test_a_parts_optimizer_starts_as_new_and_its_schedule_goes_on(found):
    """Adam's first step is the rate itself, against the sign of each gradient."""
    for layer, step in (("head", 0), ("Conv_1", 2), ("Conv_0", 4)):
        before, after = (found[n].params[layer]["kernel"] for n in (step, step + 1))
        np.testing.assert_allclose(np.abs(after - before), RATES[step], rtol=1e-2)


@pytest.mark.slow
def test_each_epoch_trains_as_a_run_that_freezes_the_others():
    """With plain gradient descent the steps are those of three runs, one after the other."""
    run = make_run(optimizer=optax.sgd(0.1))
    found = states(run, 3 * EPOCH_STEPS)
    for epoch, frozen in enumerate([(".*_0/.*", ".*_1/.*"), (".*_0/.*",), ()]):
        start, end = (found[n * EPOCH_STEPS] for n in (epoch, epoch + 1))
        other = run.replace(unfreeze=(), frozen=frozen, variables=start.variables)
        state = other.init_state().replace(step=start.step)
        trainer = Trainer(other, state, make_placement(LAYOUTS["one"], state.params, 16, 1))
        for _ in range(EPOCH_STEPS):
            trainer.advance()
        expected = trainer.host_state().variables
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
            end.variables,
            expected,
        )


class _Stopped(Exception):
    pass


class _StopAt(Callback):
    def __init__(self, step):
        self._step = step

    def on_log(self, step, metrics):
        if step == self._step:
            raise _Stopped


@pytest.mark.slow
def test_a_run_resumes_exactly_before_and_after_an_epoch_of_unfreezing(tmp_path):
    run = make_run(optimizer=optax.adamw(1e-2, weight_decay=0.1), ema_decay=0.5)
    cadence = training.Cadence(log_every=1, checkpoint_steps=1)
    options: dict[str, Any] = {"cadence": cadence, "progress": False}
    for step in (2, 3):
        with pytest.raises(_Stopped):
            training.fit(run, tmp_path, callbacks=[_StopAt(step)], **options)
    resumed = training.fit(run, tmp_path, **options)
    whole = training.fit(run, progress=False)
    assert not moved(resumed.variables, whole.variables)
    assert len(whole.variables["params"]) == 5


def test_unfreezing_comes_from_the_configuration():
    config = {
        "model": {"name": "tests.studies.tiny_net:TinyNet"},
        "optimizer": {"unfreeze": [["head/.*", 0], [".*", 2]]},
        "epochs": 3,
    }
    blueprint = recipes.make_blueprint(config)
    run = recipes.check_blueprint(blueprint)
    assert run.unfreeze == (("head/.*", 0), (".*", 2))
    assert run.identity is not None and run.identity["optimizer"]["unfreeze"] == run.unfreeze


@pytest.mark.parametrize(
    ("unfreeze", "message"),
    [
        ((("head/.*", 0), (".*", 4)), "'.*' is trained from epoch 4 on, of a run of 4; give 0 or"),
        ((("head/.*", -1), (".*", 2)), "from epoch -1 on"),
        (("head/.*",), "'head/.*' was given; give pairs of a pattern"),
        ((("head/.*", True), (".*", 2)), "give pairs of a pattern"),
        ((("head/.*", 0),), "unfreeze: parameters .* match none of the patterns"),
        ((("haed/.*", 0), (".*", 0)), r"unfreeze: the patterns 'haed/\.\*' give no parameter"),
        (((".*", 1),), "no parameter is trained before epoch 1; give some the epoch 0"),
    ],
)
def test_rules_that_cannot_be_meant_are_refused(unfreeze, message):
    with pytest.raises(training.ConfigError, match=message):
        training.fit(make_run(unfreeze=()).replace(unfreeze=unfreeze), progress=False)


def test_a_negative_epoch_in_the_configuration_is_refused():
    with pytest.raises(training.ConfigError, match=r"optimizer\.unfreeze.*greater than or equal"):
        recipes.parse_config({"optimizer": {"unfreeze": [[".*", -1]]}})
