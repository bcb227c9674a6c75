"""remat keeps less for the backward pass, scan compiles equal blocks once, and values stay."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import models
from tests.helpers.programs import quickly, temporary_bytes
from tests.models.shapes import drawn, variables_of

BATCH = 4


def loss_of(model):
    def loss(params, statistics, x):
        logits, _ = model.apply(
            {"params": params, **statistics}, x, train=True, mutable=["batch_stats"]
        )
        return (logits**2).sum()

    return loss


def shapes_of(model):
    variables = dict(variables_of(model, (32, 32, 3)))
    images = jax.ShapeDtypeStruct((BATCH, 32, 32, 3), jnp.float32)
    return variables.pop("params"), variables, images


def saved_bytes(model):
    """Bytes that the forward pass keeps for the backward pass: the arrays that vjp closes over."""
    params, statistics, images = shapes_of(model)

    def pull(params, statistics, images):
        return jax.vjp(lambda p: loss_of(model)(p, statistics, images), params)[1]

    kept = jax.tree.leaves(jax.eval_shape(pull, params, statistics, images))
    parameters = sum(math.prod(p.shape) * 4 for p in jax.tree.leaves(params))
    return sum(math.prod(a.shape) * a.dtype.itemsize for a in kept) - parameters


@pytest.mark.slow
def test_remat_halves_what_a_step_of_preact_resnet164_keeps():
    name = "preact_resnet164_cifar"
    whole = saved_bytes(models.create_model(name))
    less = saved_bytes(models.create_model(name, remat=True))
    # What is left must at least hold the input of each of the 54 blocks.
    values = 32 * 32 * (16 + 18 * 64) + 16 * 16 * 18 * 128 + 8 * 8 * 17 * 256
    inputs = 4 * BATCH * values
    assert inputs < less < whole / 2


def test_remat_keeps_each_map_of_a_densenet_once():
    """Joined anew in each layer, the maps before it are kept as often as layers follow."""
    layers, growth, size = 12, 12, 32 * 32
    settings: dict[str, Any] = {"blocks": (layers,)}
    name = "densenet40_12_cifar"
    whole = saved_bytes(models.create_model(name, **settings))
    less = saved_bytes(models.create_model(name, remat=True, **settings))
    maps = 4 * BATCH * size
    copies = sum(16 + growth * number for number in range(layers))
    assert whole > maps * copies
    # The parts, their join for the last batch norm, and what that keeps.
    assert less < maps * 5 * (16 + growth * layers)
    assert less < whole / 2


def test_remat_changes_no_value_of_a_densenet_with_dropout():
    settings: dict[str, Any] = {"blocks": (2,), "dropout_rate": 0.5}
    plain = models.create_model("densenet_bc16_4_cifar", **settings)
    variables = drawn(variables_of(plain, (8, 8, 3)))
    images = jax.random.normal(jax.random.key(0), (BATCH, 8, 8, 3))

    def run(model):
        def loss(params):
            logits, _ = model.apply(
                {**variables, "params": params},
                images,
                train=True,
                mutable=["batch_stats"],
                rngs={"dropout": jax.random.key(1)},
            )
            return (logits**2).sum()

        return quickly(jax.value_and_grad(loss))(variables["params"])

    (loss, gradients), (other, others) = run(plain), run(plain.clone(remat=True))
    assert float(other) == pytest.approx(float(loss), rel=1e-5)
    for got, want in zip(jax.tree.leaves(others), jax.tree.leaves(gradients), strict=True):
        np.testing.assert_allclose(got, want, atol=1e-4 * max(np.abs(want).max(), 1e-3))


@pytest.mark.slow
def test_remat_halves_the_memory_of_the_compiled_step_with_equal_blocks_scanned():
    def needed(**settings):
        model = models.create_model("preact_resnet164_cifar", scan=True, **settings)
        step = quickly(jax.grad(loss_of(model)))
        return temporary_bytes(step, *shapes_of(model))

    assert needed(remat=True) < needed() / 2


def test_remat_and_scan_change_no_value():
    one_stage: dict[str, Any] = {"blocks": (3,), "widths": (8,)}
    plain = models.create_model("preact_resnet29_cifar", **one_stage)
    scanned = plain.clone(remat=True, scan=True)
    variables = drawn(variables_of(plain, (8, 8, 3)))
    images = jax.random.normal(jax.random.key(0), (BATCH, 8, 8, 3))

    def stack(tree):
        """The parameters of the blocks after the first, under one name with a leading axis."""
        stacked = {k: v for k, v in tree.items() if "_block" not in k or k.endswith("_block1")}
        blocks = [tree[f"stage1_block{b}"] for b in (2, 3)]
        return {**stacked, "stage1_rest": jax.tree.map(lambda *p: jnp.stack(p), *blocks)}

    def run(model, variables):
        params, statistics = variables["params"], {"batch_stats": variables["batch_stats"]}
        step = quickly(jax.value_and_grad(loss_of(model)))
        return step(params, statistics, images)

    loss, gradients = run(plain, variables)
    scanned_loss, scanned_gradients = run(scanned, {k: stack(v) for k, v in variables.items()})
    assert float(scanned_loss) == pytest.approx(float(loss), rel=1e-5)
    expected = jax.tree.map(np.asarray, stack(gradients))
    for got, want in zip(
        jax.tree.leaves(scanned_gradients), jax.tree.leaves(expected), strict=True
    ):
        np.testing.assert_allclose(np.asarray(got), want, atol=1e-4 * np.abs(want).max())
