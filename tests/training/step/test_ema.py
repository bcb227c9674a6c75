import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax.training.step.ema import start_average, update_average
from cnnjax.training.step.state import TrainState


def test_averages_follow_their_recursion_for_parameters_and_statistics():
    values = np.random.default_rng(0).normal(size=(30, 2))
    move = jax.jit(update_average, static_argnames="decay")
    average = start_average(jnp.zeros(()), {"batch_stats": jnp.ones(()), "count": jnp.int32(0)})
    expected = np.array([0.0, 1.0])
    for t, (param, statistic) in enumerate(values):
        collections = {"batch_stats": jnp.float32(statistic), "count": jnp.int32(t)}
        average = move(average, jnp.float32(param), collections, decay=0.7, step=jnp.int32(t))
        decay = min(0.7, (1 + t) / (10 + t))
        expected = decay * expected + (1 - decay) * values[t]
        assert float(average["params"]) == pytest.approx(expected[0], abs=1e-5)
        assert float(average["collections"]["batch_stats"]) == pytest.approx(expected[1], abs=1e-5)
        assert int(average["collections"]["count"]) == t


def test_averages_are_what_is_evaluated():
    trained = {"kernel": jnp.ones(2)}
    state = TrainState(jnp.int32(0), trained, {"batch_stats": jnp.zeros(1)}, ())
    assert state.eval_variables is not None
    assert state.eval_variables["params"] is trained
    average = {"params": {"kernel": jnp.zeros(2)}, "collections": {"batch_stats": jnp.ones(1)}}
    state = state.replace(ema=average)
    assert state.variables["params"] is trained
    assert state.eval_variables == {
        "params": average["params"], "batch_stats": average["collections"]["batch_stats"]
    }  # fmt: skip
