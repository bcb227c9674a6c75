"""Networks between two others, and their batch statistics."""

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import transfer
from tests.helpers.trees import assert_equal


def tree(value):
    return {"params": {"w": jnp.float32([value, 2 * value])}, "batch_stats": {"m": jnp.ones(())}}


def test_weights_lie_on_the_line_and_its_ends_are_exact():
    before, after = tree(0.1), tree(0.7)
    assert_equal(transfer.interpolate(before, after, 0.0), before)
    assert_equal(transfer.interpolate(before, after, 1), after)
    middle = transfer.interpolate(before, after, 0.25)
    np.testing.assert_allclose(middle["params"]["w"], [0.25, 0.5], rtol=1e-6)


@pytest.mark.parametrize("share", [-0.1, 1.1, True, "0.5", float("nan")])
def test_shares_outside_are_refused(share):
    with pytest.raises(ValueError, match=r"share: .* was given; give a number from 0 to 1"):
        transfer.interpolate(tree(0.0), tree(1.0), share)


def test_another_classifier_is_named():
    other = {**tree(1.0), "params": {"w": jnp.ones(3)}}
    with pytest.raises(ValueError, match=r"params/w is \(2,\) before and \(3,\) after; give"):
        transfer.interpolate(tree(0.0), other, 0.5)
    with pytest.raises(ValueError, match="batch_stats/m is missing before"):
        transfer.interpolate({"params": tree(0.0)["params"]}, tree(0.0), 0.5)


class Normed(linen.Module):
    """Two batch norms of other momenta, with a constant factor between them."""

    @linen.compact
    def __call__(self, x, train=False):
        x = linen.BatchNorm(use_running_average=not train, momentum=0.9, name="first")(x)
        x = linen.Dense(2, name="dense")(x)
        return linen.BatchNorm(use_running_average=not train, momentum=0.99, name="second")(x)


def test_renewed_statistics_are_means_over_batches():
    rng = np.random.default_rng(0)
    batches = rng.normal(3.0, 2.0, (3, 16, 4, 4, 2)).astype(np.float32)
    model = Normed()
    variables = jax.jit(model.init)(jax.random.key(0), batches[0])
    new = transfer.renew_statistics(model, variables, batches)
    assert_equal(new["params"], variables["params"])
    # By the definition, in float64.
    kernel = np.asarray(variables["params"]["dense"]["kernel"], np.float64)
    first, second = [], []
    for batch in batches.astype(np.float64):
        mean, variance = batch.mean((0, 1, 2)), batch.var((0, 1, 2))
        inner = ((batch - mean) / np.sqrt(variance + 1e-5)) @ kernel
        first.append((mean, variance))
        second.append((inner.mean((0, 1, 2)), inner.var((0, 1, 2))))
    for name, found in (("first", first), ("second", second)):
        mean, variance = np.mean(found, axis=0)
        np.testing.assert_allclose(new["batch_stats"][name]["mean"], mean, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(new["batch_stats"][name]["var"], variance, rtol=1e-3)


def test_what_cannot_be_renewed_is_refused():
    model = Normed()
    variables = jax.jit(model.init)(jax.random.key(0), jnp.ones((2, 4, 4, 2)))
    with pytest.raises(ValueError, match="there are no batches; give some"):
        transfer.renew_statistics(model, variables, [])
    with pytest.raises(ValueError, match="no batch statistics"):
        transfer.renew_statistics(model, {"params": variables["params"]}, [])


class Frozen(linen.Module):
    """A batch norm whose statistics training does not update, and one whose does."""

    @linen.compact
    def __call__(self, x, train=False):
        x = linen.BatchNorm(use_running_average=True, name="frozen")(x)
        return linen.BatchNorm(use_running_average=not train, momentum=0.9, name="own")(x)


def test_statistics_that_training_keeps_stay_and_large_ones_are_exact():
    rng = np.random.default_rng(0)
    batches = rng.uniform(0, 1e4, (3, 16, 4, 4, 2)).astype(np.float32)
    variables = jax.jit(Frozen().init)(jax.random.key(0), batches[0])
    new = transfer.renew_statistics(Frozen(), variables, batches)["batch_stats"]
    assert_equal(new["frozen"], variables["batch_stats"]["frozen"])
    # The running statistics of the frozen norm are 0 and 1.
    whole = batches.astype(np.float64) / np.sqrt(1 + 1e-5)
    np.testing.assert_allclose(new["own"]["mean"], whole.mean((1, 2, 3)).mean(0), rtol=1e-4)
    np.testing.assert_allclose(new["own"]["var"], whole.var((1, 2, 3)).mean(0), rtol=1e-3)
