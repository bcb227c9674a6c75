"""Group-DRO against its algorithm in NumPy float64, on whole batches, parts and devices."""

import functools
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from cnnjax import data, training
from cnnjax.tasks.heads import Heads
from cnnjax.training.check import check_run
from cnnjax.training.step.gradients import batch_gradients
from cnnjax.training.step.state import create_state
from cnnjax.transfer import domains
from tests.helpers.trees import assert_close

NAMES, GROUPS = ("a", "b", "c"), ("north", "south", "east")
TASK = domains.GroupDRO(NAMES, group_names=GROUPS, step_size=0.5)
RANDOM = np.random.default_rng(0)


class Linear(linen.Module):
    """Logits that are linear in the pixels."""

    @linen.compact
    def __call__(self, x):
        return linen.Dense(3, use_bias=False)(x.reshape(len(x), -1))


def batch_of(groups, seed):
    random = np.random.default_rng(seed)
    count = len(groups)
    return {
        "image": random.normal(size=(count, 2, 2, 1)).astype(np.float32),
        "label": random.integers(0, 3, count).astype(np.int32),
        "weight": random.choice([1.0, 1.0, 0.5, 0.0], count).astype(np.float32),
        "domain": np.asarray(groups, np.int32),
    }


# Unequal groups; the second batch has none of the last.
BATCHES = [
    batch_of([0] * 6 + [1] * 4 + [2] * 2, 1),
    batch_of([0] * 2 + [1] * 10, 2),
    batch_of([2, 1, 0] * 4, 3),
]
KERNEL = RANDOM.normal(size=(4, 3)).astype(np.float32)


def reference(batches, rate=0.1, step_size=0.5):
    """Returns kernel and weights after SGD steps by the paper's algorithm, with their delay."""
    kernel, q = KERNEL.astype(np.float64), np.full(3, 1 / 3)
    for batch in batches:
        x, weight = batch["image"].reshape(-1, 4).astype(np.float64), batch["weight"]
        shifted = np.exp(x @ kernel)
        probabilities = shifted / shifted.sum(axis=1, keepdims=True)
        truth = np.eye(3)[batch["label"]]
        losses = -np.log((probabilities * truth).sum(axis=1))
        gradient, means = 0.0, np.zeros(3)
        for group in range(3):
            own = weight * (batch["domain"] == group)
            if own.sum():
                means[group] = (own * losses).sum() / own.sum()
                slopes = x.T @ ((probabilities - truth) * own[:, None]) / own.sum()
                gradient = gradient + q[group] * slopes
        kernel = kernel - rate * gradient
        q = q * np.exp(step_size * means)
        q = q / q.sum()
    return kernel, q


def state_of(task):
    variables = {"params": {"Dense_0": {"kernel": jnp.asarray(KERNEL)}}}
    return create_state(variables, optax.sgd(0.1), task_state=task.init_state())


def train(batches, gradients_of):
    state = state_of(TASK)
    for batch in batches:
        gradients, _, sums, _ = gradients_of(state, batch)
        params = jax.tree.map(lambda p, g: p - 0.1 * g, state.params, gradients)
        state = state.replace(params=params, task_state=TASK.next_state(state.task_state, sums))
    return state.params["Dense_0"]["kernel"], jnp.exp(state.task_state["log_weights"])


def gradients(state, batch, task: Any = TASK, **options):
    return batch_gradients(state, batch, jax.random.key(0), model=Linear(), task=task, **options)


def on_two_devices(state, batch):
    cut = jax.tree.map(lambda x: x.reshape(2, len(x) // 2, *x.shape[1:]), batch)
    spread = jax.pmap(
        lambda state, batch: gradients(state, batch, axis_name="data", parts=2),
        axis_name="data",
        in_axes=(None, 0),
    )
    return jax.tree.map(lambda x: x[0], spread(state, cut))


WAYS = {
    "whole": jax.jit(gradients),
    "parts on devices": on_two_devices,
}


@pytest.mark.parametrize("way", WAYS)
def test_weights_and_parameters_are_those_of_the_algorithm(way):
    kernel, weights = train(BATCHES, WAYS[way])
    expected_kernel, expected_weights = reference(BATCHES)
    np.testing.assert_allclose(weights, expected_weights, rtol=1e-5)
    np.testing.assert_allclose(kernel, expected_kernel, rtol=1e-4, atol=1e-6)


def test_with_a_step_size_of_0_and_equal_groups_it_is_erm():
    batch = jax.tree.map(jnp.asarray, {**BATCHES[2], "weight": np.ones(12, np.float32)})
    robust = domains.GroupDRO(NAMES, group_names=GROUPS, step_size=0.0)
    found = [
        jax.jit(functools.partial(gradients, task=task))(state_of(task), batch)[0]
        for task in (robust, domains.GroupClassification(NAMES, group_names=GROUPS))
    ]
    assert_close(found[0], found[1], rtol=1e-5, atol=1e-7)
    later = robust.next_state(
        robust.init_state(), {"group_loss": jnp.ones(3), "group_weight": jnp.ones(3)}
    )
    np.testing.assert_allclose(later["log_weights"], np.log(1 / 3), rtol=1e-6)


def test_metrics_are_counted_by_group():
    logits = jnp.asarray(RANDOM.normal(size=(12, 3)), jnp.float32)
    batch = BATCHES[1]
    losses = jnp.asarray(RANDOM.normal(size=12) ** 2, jnp.float32)
    sums = TASK.all_sums(Heads(logits, ()), losses, jax.tree.map(jnp.asarray, batch))
    metrics = TASK.metrics(sums)
    right = np.asarray(logits).argmax(axis=1) == batch["label"]
    by_group = {}
    for number, name in enumerate(GROUPS[:2]):
        own = batch["weight"] * (batch["domain"] == number)
        by_group[name] = (own * right).sum() / own.sum()
        assert metrics[f"accuracy_{name}"] == pytest.approx(by_group[name], rel=1e-5)
    assert metrics["worst_group_accuracy"] == pytest.approx(min(by_group.values()), rel=1e-5)
    # No example of the batch is from there.
    assert "accuracy_east" not in metrics
    weight = batch["weight"]
    assert metrics["accuracy"] == pytest.approx((weight * right).sum() / weight.sum(), rel=1e-5)


def examples(count=30, groups=3):
    images = RANDOM.integers(0, 256, (count, 4, 4, 1), dtype=np.uint8)
    sets = {
        str(number): data.from_arrays(
            image=images[number::groups], label=np.arange(count)[number::groups] // groups % 3
        )
        for number in range(groups)
    }
    return domains.join_domains(sets)


def make_run(task=TASK, train=None, test=None):
    stream = data.Stream(train or examples(), 12, order="balanced", by="domain")
    return training.Run(
        model=Linear(), task=task, train=stream, test=test or examples(), optimizer=optax.sgd(0.1)
    )


@pytest.mark.slow
def test_a_run_carries_the_weights_and_logs_them():
    result = training.fit(make_run(), progress=False, cadence=training.Cadence(log_every=1))
    weights = np.exp(result.task_state["log_weights"])
    assert weights.sum() == pytest.approx(1, abs=1e-6)
    assert weights.std() > 0
    logged = result.history[0]
    assert logged["weight_north"] == pytest.approx(1 / 3, rel=1e-5)
    assert {"worst_group_accuracy", "accuracy_east"} <= result.metrics.keys()
    assert not any(name.startswith("weight_") for name in result.metrics)


WRONG = {
    "no groups": (lambda: domains.GroupDRO(NAMES), r"task.group_names: \(\) was given"),
    "twice": (lambda: domains.GroupDRO(NAMES, group_names=("a", "a")), "no two alike"),
    "step size": (
        lambda: domains.GroupDRO(NAMES, group_names=GROUPS, step_size=-0.1),
        "task.step_size: -0.1 was given",
    ),
    "no part": (
        lambda: check_run(
            make_run().replace(
                train=data.from_arrays(image=np.zeros((12, 4, 4, 1)), label=np.zeros(12, int)),
                batch_size=12,
                test=None,
            )
        ),
        "there are examples without the part 'domain'",
    ),
    "value": (
        lambda: TASK.check({"image": IMAGE, "label": LABEL, "domain": IMAGE}, LOGITS),
        "the groups are in the part 'domain' of kind label",
    ),
    "unnamed": (lambda: check_run(make_run(train=examples(40, 4))), "groups from 0 to 3 were"),
}
IMAGE = data.PartSpec((4, 4, 1), np.dtype(np.uint8), "image")
LABEL = data.PartSpec((), np.dtype(np.int32), "label")
LOGITS = jax.ShapeDtypeStruct((2, 3), jnp.float32)


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_fit_is_refused(name):
    make, message = WRONG[name]
    with pytest.raises(ValueError, match=message):
        make()
