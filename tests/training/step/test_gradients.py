"""Accumulated gradients against one pass written out with group statistics, in float64."""

from functools import cache, partial
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from cnnjax import nn, training
from cnnjax.tasks import Classification
from cnnjax.training.step.gradients import batch_gradients
from cnnjax.training.step.loss_scaling import LossScale
from cnnjax.training.step.state import create_state
from tests.helpers import trees

assert_close = partial(trees.assert_close, rtol=1e-9, atol=1e-9)

RNG = np.random.default_rng(0)
TASK = Classification(("a", "b", "c"))
PARTS = 3


class Normalised(linen.Module):
    """Dense, batch norm unless it is left out, rectifier, dense; all in float64."""

    norm: bool = True

    @linen.compact
    def __call__(self, x, train=False):
        x = linen.Dense(5, param_dtype=jnp.float64, name="first")(x.reshape(len(x), -1))
        if self.norm:
            x = nn.BatchNorm(not train, dtype=jnp.float64, name="bn")(x)
        return linen.Dense(3, param_dtype=jnp.float64, name="last")(jnp.maximum(x, 0))


@pytest.fixture(autouse=True)
def double_precision():
    with jax.enable_x64(True):
        yield


BATCH = {
    "image": RNG.normal(size=(12, 2, 2, 1)),
    "label": RNG.integers(0, 3, 12),
    # Unequal over the parts, and float32 as batches have it.
    "weight": np.array([1, 1, 0, 1, 0.5, 0, 1, 1, 0, 1, 1, 1], np.float32),
}


def grouped_mean_loss(params, groups):
    """The mean loss with statistics over examples i, i + groups, ..., from the formulas."""
    x = BATCH["image"].reshape(12, -1) @ params["first"]["kernel"] + params["first"]["bias"]
    if "bn" in params:
        g = x.reshape(12 // groups, groups, 5)
        mean, variance = g.mean(axis=0), g.var(axis=0)
        g = (g - mean) / jnp.sqrt(variance + 1e-5)
        x = g.reshape(12, 5) * params["bn"]["scale"] + params["bn"]["bias"]
    logits = jnp.maximum(x, 0) @ params["last"]["kernel"] + params["last"]["bias"]
    logp = logits - jnp.log(jnp.exp(logits).sum(axis=1, keepdims=True))
    weight = jnp.asarray(BATCH["weight"], jnp.float64)
    return -(weight * logp[np.arange(12), BATCH["label"]]).sum() / weight.sum()


def state_of(model, loss_scale=None):
    state = create_state(start(model), optax.sgd(0.1))
    return state.replace(loss_scale=loss_scale)


def gradients(model, parts, loss_scale=None):
    """Returns the state, and the gradients, loss, sums and updated collections at it."""
    state = state_of(model, loss_scale)
    compute = jax.jit(partial(batch_gradients, model=model, task=TASK, parts=parts))
    return state, compute(state, BATCH, jax.random.key(0))


@cache
def start(model):
    images = jnp.zeros((1, 2, 2, 1))
    variables = jax.jit(lambda key: nn.init_network(model, key, images))(jax.random.key(0))
    # Layers make float32; sums in another order must not differ.
    return jax.tree.map(lambda leaf: leaf.astype(jnp.float64), variables)


@pytest.mark.parametrize("parts", [1, PARTS])
def test_parts_are_groups_of_batch_statistics(parts):
    state, (found, mean, sums, updated) = gradients(Normalised(), parts)
    params, collections = state.params, state.collections
    with jax.numpy_rank_promotion("allow"):
        loss, expected = jax.jit(jax.value_and_grad(grouped_mean_loss), static_argnums=1)(
            params, parts
        )
        hidden = BATCH["image"].reshape(12, -1) @ params["first"]["kernel"]
    assert_close(found, expected)
    assert float(mean) == pytest.approx(float(loss), rel=1e-12)
    assert float(sums["loss"]) / 8.5 == pytest.approx(float(loss), rel=1e-12)
    assert float(sums["weight"]) == 8.5
    # One update of the running statistics, by the mean of the groups' own.
    groups = np.asarray(hidden).reshape(12 // parts, parts, 5)
    statistics = updated["batch_stats"]["bn"]
    assert_close(statistics["var"], 0.9 + 0.1 * groups.var(axis=0).mean(axis=0))
    assert_close(statistics["mean"], 0.1 * groups.mean(axis=0).mean(axis=0))
    assert_close(collections["batch_stats"]["bn"]["mean"], np.zeros(5))


@pytest.mark.parametrize("parts", [2, 4, 12])
def test_without_batch_norm_parts_give_the_whole_batch(parts):
    whole = gradients(Normalised(norm=False), 1)[1]
    assert_close(gradients(Normalised(norm=False), parts)[1], whole, rtol=1e-12, atol=1e-12)


def test_devices_of_a_mapped_axis_give_the_whole_batch():
    state, whole = gradients(Normalised(norm=False), 1)
    spread = jax.tree.map(lambda a: a.reshape(4, 3, *a.shape[1:]), BATCH)

    def on_device(part):
        return batch_gradients(
            state, part, jax.random.key(0),
            model=Normalised(norm=False), task=TASK, axis_name="data",
        )  # fmt: skip

    results = jax.jit(jax.vmap(on_device, axis_name="data"))(spread)
    for device in range(4):
        assert_close(jax.tree.map(lambda a, d=device: a[d], results), whole, rtol=1e-12, atol=1e-12)


def test_a_scale_leaves_the_gradients():
    whole = gradients(Normalised(), PARTS)[1]
    scale = LossScale(jnp.float32(1024), jnp.int32(0))
    scaled = gradients(Normalised(), PARTS, scale)[1]
    assert_close(scaled, whole, rtol=1e-12, atol=1e-12)


def test_a_batch_that_cannot_be_cut_is_refused():
    with pytest.raises(ValueError, match="a batch of 12 cannot be cut into 5 equal parts"):
        gradients(Normalised(), 5)


def test_a_step_of_parts_counts_as_one():
    model: Any = Normalised()
    optimizer = optax.sgd(0.1)
    state = create_state(start(model), optimizer, ema=True)
    step = jax.jit(
        lambda state: training.train_step(
            state, BATCH, jax.random.key(0), model=model, task=TASK, optimizer=optimizer,
            options=training.StepOptions(accumulate=PARTS, ema_decay=0.9),
        )[0]
    )  # fmt: skip
    new = step(state)
    assert int(new.step) == 1
    found = gradients(model, PARTS)[1][0]
    assert_close(new.params, jax.tree.map(lambda p, g: p - 0.1 * g, state.params, found))
    assert jax.tree.structure(step(new)) == jax.tree.structure(new)
