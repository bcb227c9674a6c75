"""Recipes, learning rates, the slow copy and the steps of each group of parameters."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import training
from experiments.speedrun.batched_muon import (
    batched_muon,
    orthogonalize,
    stack_kernels,
    unstack_kernels,
)
from experiments.speedrun.optimizer import blend, lookahead_decays, make_optimizer, triangle
from experiments.speedrun.recipes import RECIPES, Lookahead


def test_learning_rates_rise_to_the_peak_and_fall():
    schedule: Any = triangle(476, *RECIPES["sgd"].ramp)
    steps = np.arange(476)
    expected = np.interp(steps, [0, int(0.23 * 476), 476], [0.2, 1.0, 0.07])
    np.testing.assert_allclose([schedule(step) for step in steps[::25]], expected[::25], rtol=1e-5)
    falling = triangle(200, *RECIPES["muon"].ramp)
    assert [falling(step) for step in (0, 50, 199)] == pytest.approx([1, 0.75, 1 / 200])


def test_recipes_have_the_published_lengths_and_rates():
    muon, sgd, batched = (RECIPES[name] for name in ("muon", "sgd", "batched_muon"))
    assert [recipe.total_steps(50_000) for recipe in (muon, sgd, batched)] == [200, 476, 245]
    assert [recipe.whitening_steps(50_000) for recipe in (muon, sgd, batched)] == [75, 144, 7]
    assert batched.decay == pytest.approx(0.0016, rel=1e-3)
    assert sgd.rates["head"] == pytest.approx(11.5 / (1024 * (1 + 1 / 0.15)))
    assert sgd.decay == pytest.approx(0.0153 / (1 + 1 / 0.15))
    assert muon.resized(None, 1000).decay == pytest.approx(0.002)
    assert muon.resized(0.5, 10).total_steps(100) == 5
    with pytest.raises(training.ConfigError, match="--batch_size: 2000 is more than the 10"):
        muon.epoch_steps(10)


def test_the_slow_copy_is_blended_as_scheduled():
    # Epochs of 5 steps; it starts in the second.
    decays = lookahead_decays(Lookahead(1, 2, 0.9, 2.0), total_steps=13, epoch_steps=5)
    expected = np.full(13, np.nan)
    expected[5] = 0  # after step 6 the copy is made
    for done in (8, 10, 12):
        expected[done - 1] = 0.81 * (done / 13) ** 2
    expected[12] = 1  # the run ends with the copy
    np.testing.assert_allclose(decays, expected, rtol=1e-6)
    assert np.isnan(lookahead_decays(None, 4, 2)).all()
    slow, fast = {"a": jnp.array([1.0])}, {"a": jnp.array([3.0])}
    mixed = {"a": jnp.array([2.5])}
    assert blend(slow, fast, jnp.float32(0.25)) == (mixed, mixed)
    assert blend(slow, fast, jnp.float32(np.nan)) == (slow, fast)


def small_params():
    rng = np.random.default_rng(0)

    def normal(*shape):
        return rng.standard_normal(shape).astype(np.float32)

    return {
        "whiten": {"kernel": normal(2, 2, 3, 4), "bias": normal(4)},
        "block1": {
            "conv1": {"kernel": normal(3, 3, 4, 6)},
            "norm1": {"scale": normal(6), "bias": normal(6)},
        },
        "head": {"kernel": normal(6, 10)},
    }


def test_sgd_steps_are_nesterov_s_with_decoupled_settings():
    recipe = RECIPES["sgd"]
    steps, whitening_steps = 20, 2
    optimizer = make_optimizer(recipe, steps, whitening_steps)
    params = small_params()
    grads = [jax.tree.map(lambda p, n=n: (n + 1) * np.cos(p), params) for n in range(3)]
    state, moved = jax.jit(optimizer.init)(params), params
    update = jax.jit(optimizer.update)
    for grad in grads:
        updates, state = update(grad, state, moved)
        moved = jax.tree.map(np.add, moved, updates)
    factors = np.interp(range(3), [0, int(0.23 * steps), steps], [0.2, 1.0, 0.07])
    groups = {
        ("whiten", "kernel"): 0.0,
        ("whiten", "bias"): recipe.rates["whitening_bias"],
        ("block1", "conv1", "kernel"): recipe.rates["filter"],
        ("block1", "norm1", "scale"): 0.0,
        ("block1", "norm1", "bias"): 64 * recipe.rates["filter"],
        ("head", "kernel"): recipe.rates["head"],
    }
    for path, rate in groups.items():
        value, found = (np.asarray(at(tree, path), np.float64) for tree in (params, moved))
        momentum = np.zeros_like(value)
        for number, grad in enumerate(grads if rate else []):
            if path == ("whiten", "bias") and number >= whitening_steps:
                continue
            slope = np.asarray(at(grad, path)) + recipe.decay / rate * value
            momentum = 0.85 * momentum + slope
            value = value - rate * factors[number] * (slope + 0.85 * momentum)
        np.testing.assert_allclose(found, value, rtol=1e-5, atol=1e-6, err_msg=str(path))


def at(tree, path):
    for name in path:
        tree = tree[name]
    return tree


def test_muon_normalizes_filters_and_moves_them_along_flattened_singular_values():
    optimizer = make_optimizer(RECIPES["muon"], 200, 75)
    params = small_params()
    grads = jax.tree.map(np.cos, params)
    updates, _ = jax.jit(lambda g, p: optimizer.update(g, optimizer.init(p), p))(grads, params)
    kernel = np.asarray(params["block1"]["conv1"]["kernel"], np.float64)
    grad = np.asarray(grads["block1"]["conv1"]["kernel"], np.float64)
    left, values, right = np.linalg.svd(grad.reshape(-1, 6), full_matrices=False)
    values = values / np.linalg.norm(values)
    for _ in range(3):
        values = 3.4445 * values - 4.775 * values**3 + 2.0315 * values**5
    moved = kernel * np.sqrt(6) / np.linalg.norm(kernel)
    moved = moved - 0.24 * ((left * values) @ right).reshape(kernel.shape)
    found = kernel + np.asarray(updates["block1"]["conv1"]["kernel"])
    np.testing.assert_allclose(found, moved, rtol=1e-4, atol=1e-5)


def nearly_orthogonal(matrix):
    """Three iterations on the singular values, in float64."""
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    values = values / np.linalg.norm(values)
    for _ in range(3):
        values = 3.4576 * values - 4.7391 * values**3 + 2.0843 * values**5
    return (left * values) @ right


@pytest.mark.parametrize("shape", [(3, 5, 9), (2, 9, 4)])
def test_a_batch_of_matrices_keeps_its_singular_vectors(shape):
    matrices = np.random.default_rng(0).standard_normal(shape)
    found = jax.jit(orthogonalize)(jnp.asarray(matrices, jnp.float32))
    for matrix, expected in zip(found, map(nearly_orthogonal, matrices), strict=True):
        np.testing.assert_allclose(matrix, expected, rtol=2e-4, atol=2e-5)
    np.testing.assert_array_equal(orthogonalize(jnp.zeros((1, 2, 3))), np.zeros((1, 2, 3)))


def test_kernels_of_many_shapes_fill_one_batch_and_come_back():
    shapes = [(3, 3, 2, 4), (1, 1, 5, 6), (2, 2, 3, 2)]
    rng = np.random.default_rng(0)
    kernels = [jnp.asarray(rng.standard_normal(shape), jnp.float32) for shape in shapes]
    stacked = stack_kernels(kernels)
    assert stacked.shape == (3, 6, 18)
    # Each row is a filter, and all else is filling.
    np.testing.assert_array_equal(stacked[1, 5, :5], kernels[1][0, 0, :, 5])
    assert np.count_nonzero(stacked) == sum(kernel.size for kernel in kernels)
    for kernel, back in zip(kernels, unstack_kernels(stacked, shapes), strict=True):
        np.testing.assert_array_equal(kernel, back)


def test_batched_muon_normalizes_every_other_step_and_looks_ahead():
    rate, momentum = 0.1, 0.655
    rule = batched_muon(lambda count: rate / (count + 1), momentum, normalize_every=2)
    rng = np.random.default_rng(0)
    params = {"a": rng.standard_normal((3, 3, 2, 4)), "b": rng.standard_normal((3, 3, 4, 3))}
    given = jax.tree.map(lambda p: jnp.asarray(p, jnp.float32), params)
    state, update = rule.init(given), jax.jit(rule.update)
    momenta = jax.tree.map(np.zeros_like, params)
    for step in range(3):
        grads = jax.tree.map(lambda p, step=step: np.cos(p + step), params)
        momenta = jax.tree.map(lambda m, g: momentum * m + g, momenta, grads)
        for name, kernel in params.items():
            filters = kernel.shape[-1]
            ahead = (grads[name] + momentum * momenta[name]).reshape(-1, filters)
            if step == 1:
                kernel = kernel * np.sqrt(filters) / np.linalg.norm(kernel)
            params[name] = kernel - rate / (step + 1) * nearly_orthogonal(ahead).reshape(
                kernel.shape
            )
        grads = jax.tree.map(lambda g: jnp.asarray(g, jnp.float32), grads)
        changes, state = update(grads, state, given)
        given = jax.tree.map(jnp.add, given, changes)
    for name, kernel in params.items():
        np.testing.assert_allclose(given[name], kernel, rtol=2e-4, atol=2e-5)
