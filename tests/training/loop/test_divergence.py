"""The reported origin of NaN and infinity."""

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from cnnjax import data, recipes, training
from cnnjax.recipes.without_examples import state_like
from cnnjax.training.devices.mesh import Parallel
from cnnjax.training.devices.placement import make_placement
from cnnjax.training.folder.checkpoints import Checkpoints, StateNotFinite
from cnnjax.training.loop.divergence import explain_divergence
from cnnjax.training.loop.intervals import LossNotFinite
from cnnjax.training.loop.trainer import Trainer


class Half(linen.Module):
    """A layer of weights."""

    @linen.compact
    def __call__(self, x):
        return linen.Dense(8, name="weights")(x)


class Reciprocal(linen.Module):
    """Divides by what a parameter has come to."""

    @linen.compact
    def __call__(self, x):
        return x / self.param("divisor", linen.initializers.constant(1.0), ())


class Countdown(linen.Module):
    """A step takes 0.25 from the parameter: after four of them it is 0."""

    @linen.compact
    def __call__(self, x, train=False):
        x = linen.remat(Half)(name="first")(x.reshape(x.shape[0], -1))
        x = Reciprocal(name="second")(x)
        return linen.Dense(10, name="head")(x)


class SquareRoot(linen.Module):
    """Finite at 0, but for its gradient."""

    @linen.compact
    def __call__(self, x, train=False):
        x = linen.Dense(8, name="first")(x.reshape(x.shape[0], -1))
        offset = self.param("offset", linen.initializers.zeros, ())
        return linen.Dense(10, name="head")(x + jnp.sqrt(offset))


class BlownStatistics(linen.Module):
    """Logits know nothing of its statistics."""

    @linen.compact
    def __call__(self, x, train=False):
        size = self.variable("batch_stats", "size", lambda: jnp.float32(1e30))
        if train and not self.is_initializing():
            size.value = size.value * 1e3
        return linen.Dense(10, name="head")(x.reshape(x.shape[0], -1))


def steady(params):
    """Takes 0.25 from the divisor and leaves all other parameters as they are."""

    def update(gradients, params):
        return jax.tree_util.tree_map_with_path(
            lambda path, g: jnp.full_like(g, -0.25 if "divisor" in str(path) else 0), gradients
        )

    return optax.stateless(update)


@pytest.fixture(scope="module")
def run_of(data_dir):
    """From a network to a run of five epochs, of two steps an epoch."""
    config = {
        "model": {"name": "lenet5"},
        "data": {"resize": 16, "batch_size": 64, "validation_examples": 1309},
        "epochs": 5,
    }
    run = recipes.make_run(config, data_dir=data_dir)
    return lambda model, optimizer=steady: run.replace(model=model, optimizer=optimizer)


@pytest.fixture
def explain(tmp_path):
    """Returns the message about a run that failed, with a checkpoint at the step saved."""

    def explain(run, noticed, saved=None):
        checkpoints = Checkpoints(tmp_path / "checkpoints")
        state = run.init_state()
        placement = make_placement(Parallel(), state.params, run.first_batch_size)
        trainer = Trainer(run, state, placement, data.ReadOptions())
        if saved is not None:
            while trainer.step < saved:
                trainer.advance()
            checkpoints.save(saved, trainer.host_state(), {})
        return explain_divergence(run, trainer, checkpoints, noticed)

    return explain


@pytest.mark.parametrize("saved", [None, 2])
def test_the_step_and_the_layer_that_divides_by_zero_are_named(run_of, explain, saved):
    # 1 - 4 * 0.25 = 0 divides in the fifth step; the loss was read two steps later.
    message = explain(run_of(Countdown()), LossNotFinite(7, float("nan")), saved)
    assert "the loss of step 7 is nan. The origin is step 5: " in message
    assert "the output of the layer second (Reciprocal) is the first that is not finite" in message
    if saved is None:
        assert "there is no checkpoint yet" in message
    else:
        assert "the last good checkpoint is that of step 2" in message


def test_a_gradient_that_is_not_finite_is_named(run_of, explain):
    message = explain(run_of(SquareRoot(), optax.sgd(0.01)), LossNotFinite(2, float("nan")))
    assert (
        "The origin is step 1: all outputs are finite, and the gradient of offset is the" in message
    )


def test_steps_that_come_out_finite_when_repeated_are_reported(run_of, explain):
    # The steady rule's updates do not look at gradients.
    message = explain(run_of(SquareRoot()), LossNotFinite(2, float("nan")))
    assert "The same steps, repeated, gave finite numbers" in message


def test_statistics_that_overflow_behind_a_finite_loss_are_named(run_of, explain):
    # 1e30 times 1e3 for each step.
    noticed = StateNotFinite(5, ["collections/batch_stats/size"])
    message = explain(run_of(BlownStatistics()), noticed)
    assert (
        "The origin is step 3: collections/batch_stats/size is not finite after the update"
        in message
    )


def test_parameters_that_start_so_are_named(run_of, explain):
    class BadFromTheStart(linen.Module):
        @linen.compact
        def __call__(self, x, train=False):
            x = linen.Dense(10, name="head")(x.reshape(x.shape[0], -1))
            return x + self.param("offset", linen.initializers.constant(jnp.inf), ())

    message = explain(run_of(BadFromTheStart()), LossNotFinite(1, float("inf")))
    assert "The state before the first step is not finite already: params/offset" in message


@pytest.fixture
def diverging(tiny_config):
    """A configuration whose first update throws the parameters out of float32's range."""
    wild = {"name": "sgd", "learning_rate": 1e38, "momentum": 0.0}
    return recipes.parse_config(tiny_config.model_dump() | {"optimizer": wild})


def test_a_run_that_explodes_reports_where_and_saves_nothing_of_it(
    diverging, train_config, tmp_path
):
    with pytest.raises(training.TrainingDiverged) as raised:
        train_config(diverging, tmp_path / "run", checkpoint_steps=1)
    message = str(raised.value)
    assert "The origin is step" in message and "the layer" in message
    assert "A lower learning rate" in message and "optimizer.learning_rate" in message
    checkpoints = Checkpoints(tmp_path / "run" / "checkpoints")
    like = state_like(recipes.make_blueprint(diverging))
    for step in checkpoints.steps():
        state = checkpoints.restore(step, like)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state.params))
    last = training.read_events(tmp_path / "run")[-1]
    assert (last["event"], last["message"]) == ("diverged", message)
