"""Removed weights are zero to the bit after every step, in checkpoints and after a resume."""

import functools
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from cnnjax import compression, data, tasks, training


class Net(linen.Module):
    @linen.compact
    def __call__(self, x, train=False):
        x = linen.relu(linen.Conv(3, (3, 3), strides=2, name="conv")(x))
        x = linen.BatchNorm(use_running_average=not train, name="bn")(x)
        return linen.Dense(3, name="head")(x.reshape(x.shape[0], -1))


@functools.cache
def made_run(**fields):
    rng = np.random.default_rng(0)
    return training.Run(
        model=Net(),
        task=tasks.Classification(("a", "b", "c")),
        train=data.from_arrays(
            image=rng.integers(0, 256, (24, 6, 6, 1)).astype(np.uint8),
            label=rng.integers(0, 3, 24),
        ),
        batch_size=8,
        **{"epochs": 2, "optimizer": optax.adamw(1e-2, weight_decay=0.1), **fields},
    )


def kernels_of(variables):
    return {name: np.asarray(variables["params"][name]["kernel"]) for name in ("conv", "head")}


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({}, marks=pytest.mark.slow),
        {"ema_decay": 0.9, "frozen": ("conv/.*",)},
    ],
    ids=str,
)
def test_removed_weights_stay_zero_in_training_and_averages(fields):
    run = made_run(**fields)
    masks = compression.weight_masks(run.init_state().params, 0.6)
    result = training.fit(compression.masked_run(run, masks), progress=False)
    for name, kernel in kernels_of(result.variables).items():
        mask = np.asarray(masks[name]["kernel"])
        assert not kernel[~mask].view(np.uint32).any(), name
        assert (kernel[mask] != 0).all(), name
    start = run.init_state().params["head"]["kernel"]
    assert (kernels_of(result.variables)["head"] != np.asarray(start)).any()


def test_the_update_rule_sees_no_gradient_of_removed_weights():
    params = {"kernel": jnp.array([1.0, 2.0, 3.0])}
    optimizer = compression.masked(optax.adam(0.1), {"kernel": jnp.array([True, False, True])})
    state: Any
    _, state = optimizer.update({"kernel": jnp.ones(3)}, optimizer.init(params), params)
    assert state.inner[0].mu["kernel"].tolist() == pytest.approx([0.1, 0.0, 0.1])


def test_a_gradual_run_ends_at_its_share_and_goes_on_exactly(tmp_path):
    gradual = compression.Gradual(0.75, start=1, end=5, every=2)
    run = compression.gradually_pruned_run(made_run(), gradual)
    whole = training.fit(run, progress=False).variables
    share = np.mean(np.concatenate([k.reshape(-1) for k in kernels_of(whole).values()]) == 0)
    weights = 9 * 3 + 27 * 3
    assert share == int(0.75 * weights) / weights
    half = run.replace(epochs=1)
    assert half.total_steps == 3
    training.fit(half, tmp_path / "run", progress=False)
    resumed = training.fit(half, tmp_path / "run", extend_to=2, progress=False).variables
    for first, second in zip(jax.tree.leaves(whole), jax.tree.leaves(resumed), strict=True):
        np.testing.assert_array_equal(first, second)


def test_the_share_grows_by_the_cubic_rule_and_never_falls():
    gradual = compression.Gradual(0.8, start=2, end=10, every=3, initial=0.1)
    for step, expected in [(1, 0.1), (2, 0.1), (6, 0.8 - 0.7 / 8), (10, 0.8), (20, 0.8)]:
        assert float(gradual.share(step)) == pytest.approx(expected, abs=1e-6)
    due = [step for step in range(1, 13) if gradual.is_due(step)]
    assert due == [2, 5, 8, 10]
    at_once = compression.Gradual(0.5, start=3, end=3)
    assert [float(at_once.share(step)) for step in (2, 3)] == [0.0, 0.5]


@pytest.mark.parametrize("by", ["magnitude", "random"])
def test_removed_weights_never_come_back(by):
    rng = np.random.default_rng(0)
    params: Any = {"kernel": jnp.asarray(rng.normal(size=(6, 5)), jnp.float32)}
    optimizer = compression.gradually_masked(optax.sgd(0.5), compression.Gradual(0.7, end=6, by=by))
    state, update = optimizer.init(params), jax.jit(optimizer.update)
    before = np.zeros((6, 5), bool)
    for step in range(1, 9):
        gradients = {"kernel": jnp.asarray(rng.normal(size=(6, 5)), jnp.float32)}
        updates, state = update(gradients, state, params)
        params = optax.apply_updates(params, updates)
        zeros = np.asarray(params["kernel"]) == 0
        assert (zeros | ~before).all()
        share = float(compression.Gradual(0.7, end=6).share(step))
        assert zeros.sum() == int(share * 30 + 1e-3)
        before = zeros


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sparsity": 1.2, "end": 3}, "sparsity: 1.2 was given"),
        ({"sparsity": 0.5, "end": 3, "initial": 0.6}, "initial: 0.6 is more than the sparsity"),
        ({"sparsity": 0.5, "end": 3, "start": 4}, "start, end and every: 4, 3 and 1 were given"),
        ({"sparsity": 0.5, "end": 3, "scope": "all"}, "scope: 'all' was given"),
        ({"sparsity": 0.5, "end": 3, "by": "luck"}, "by: 'luck' was given"),
    ],
)
def test_wrong_schedules_are_named(given, message):
    with pytest.raises(ValueError, match=message):
        compression.Gradual(**given)


def test_wrong_runs_are_refused_before_they_start():
    with pytest.raises(training.ConfigError, match="ema_decay: the moving average of a weight"):
        compression.gradually_pruned_run(made_run(ema_decay=0.9), compression.Gradual(0.5, end=3))
    with pytest.raises(training.ConfigError, match="after step 99, but the run has 6 steps"):
        compression.gradually_pruned_run(made_run(), compression.Gradual(0.5, end=99))
    frozen = made_run(frozen=("(conv|head)/kernel",))
    with pytest.raises(ValueError, match=r"layers: every array that \.\*kernel names is frozen"):
        compression.gradually_pruned_run(frozen, compression.Gradual(0.5, end=3)).init_state()
    masks = {"other": {"kernel": jnp.ones((3, 3), bool)}}
    with pytest.raises(ValueError, match="other/kernel is masked, but the network has no such"):
        compression.masked_run(made_run(), masks)


@pytest.mark.slow
def test_a_ticket_starts_where_the_run_started():
    run = made_run(epochs=1)
    ticket = compression.find_ticket(run, 0.5, rounds=2, progress=False)
    start = run.init_state().variables
    weights = 9 * 3 + 27 * 3
    assert ticket.sparsity == pytest.approx(int(0.5 * weights) / weights)
    assert len(ticket.rounds) == 2
    for name, kernel in kernels_of(ticket.variables).items():
        mask = np.asarray(ticket.masks[name]["kernel"])
        np.testing.assert_array_equal(kernel, kernels_of(start)[name] * mask)
    # The second round left the zeros of the first: 1 - 0.5 ** (1 / 2) of the weights.
    zeros = [
        sum((kernel == 0).sum() for kernel in kernels_of(result.variables).values())
        for result in ticket.rounds
    ]
    assert zeros == [0, int((1 - 0.5**0.5) * weights)]
    # What stays is what training left largest.
    trained = np.concatenate(
        [np.abs(kernel).reshape(-1) for kernel in kernels_of(ticket.rounds[1].variables).values()]
    )
    kept = np.concatenate(
        [np.asarray(ticket.masks[name]["kernel"]).reshape(-1) for name in ("conv", "head")]
    )
    assert trained[kept].min() >= trained[~kept].max()
    with pytest.raises(ValueError, match="rounds: 0 was given"):
        compression.find_ticket(run, 0.5, rounds=0)
