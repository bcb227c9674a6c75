"""Folded batch norms: the same predictions, and every norm that stays is named with its reason."""

from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import inference, models, nn


def _drawn(model: linen.Module, shape: tuple[int, ...], seed: int = 0):
    """Returns variables whose norms do something: random factors, offsets and statistics."""
    shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, *shape)))
    generator = np.random.default_rng(seed)

    def draw(path, leaf):
        name = path[-1].key
        if name in ("var", "scale"):
            return jnp.asarray(generator.uniform(0.5, 2, leaf.shape), leaf.dtype)
        fan_in = max(1, int(np.prod(leaf.shape[:-1])))
        return jnp.asarray(generator.normal(size=leaf.shape) / fan_in**0.5, leaf.dtype)

    return jax.tree_util.tree_map_with_path(draw, shapes)


def _images(shape: tuple[int, ...], dtype=jnp.float32):
    return jnp.asarray(np.random.default_rng(1).normal(size=(2, *shape)), dtype)


def _check_same(model: linen.Module, shape: tuple[int, ...], tolerance: float = 1e-5):
    variables = _drawn(model, shape)
    found = inference.folded(model, variables, shape)
    x = _images(shape)
    expected = nn.apply_network(model, variables, x, train=False)
    actual = nn.apply_network(found.model, found.variables, x, train=False)
    np.testing.assert_allclose(
        actual, expected, rtol=0, atol=tolerance * float(jnp.abs(expected).max())
    )
    return found


def test_every_norm_of_a_residual_network_becomes_part_of_its_convolution():
    found = _check_same(models.create_model("resnet8_cifar"), (16, 16, 3))
    assert len(found.folded) == 7
    assert ("conv1", "bn1") in found.folded
    assert found.kept == {}
    assert "batch_stats" not in found.variables or not found.variables["batch_stats"]
    names = {path[-1].key for path, _ in jax.tree_util.tree_leaves_with_path(found.variables)}
    assert names == {"kernel", "bias"}


def test_norms_before_their_convolution_stay_and_are_named():
    found = _check_same(Before(), (8, 8, 3))
    assert found.folded == (("Conv_0", "BatchNorm_1"),)
    assert list(found.kept) == ["BatchNorm_0"]
    assert "input" in found.kept["BatchNorm_0"]


class Before(linen.Module):
    @linen.compact
    def __call__(self, x, train: bool = False):
        x = linen.BatchNorm(use_running_average=not train)(x)
        x = linen.BatchNorm(use_running_average=not train)(linen.Conv(4, (3, 3))(x))
        return linen.relu(x)


class Branches(linen.Module):
    """Norms that cannot be folded, each for another reason, and some that can."""

    @linen.compact
    def __call__(self, x, train: bool = False):
        def norm(name, y):
            return linen.BatchNorm(use_running_average=not train, name=name)(y)

        shared = linen.Conv(4, (3, 3), name="shared")(x)
        x = norm("after_shared", shared) + shared
        again = linen.Conv(4, (1, 1), name="again")
        x = norm("twice", again(again(x)))
        x = norm("after_relu", linen.relu(linen.Conv(4, (1, 1), name="plain")(x)))
        x = norm("grouped_norm", linen.Conv(8, (3, 3), feature_group_count=2, name="grouped")(x))
        x = norm("up_norm", linen.ConvTranspose(6, (2, 2), (2, 2), name="up")(x))
        x = norm("dense_norm", linen.Dense(5, use_bias=False, name="dense")(x.mean(axis=(1, 2))))
        last = linen.Conv(3, (1, 1), name="last")(x[:, None, None])
        return norm("after_last", last).mean(axis=(1, 2)), last


def test_each_norm_that_stays_has_a_reason():
    model = Branches()
    variables, shape = _drawn(model, (6, 6, 4)), (6, 6, 4)
    found = inference.folded(model, variables, shape)
    assert found.folded == (
        ("grouped", "grouped_norm"),
        ("up", "up_norm"),
        ("dense", "dense_norm"),
    )
    assert found.kept.keys() == {"after_shared", "twice", "after_relu", "after_last"}
    assert "shared goes to" in found.kept["after_shared"]
    assert "several times" in found.kept["twice"]
    assert "relu" in found.kept["after_relu"]
    assert "output" in found.kept["after_last"]
    expected: Any = model.apply(variables, _images(shape))
    actual: Any = found.model.apply(found.variables, _images(shape))
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_float64_agrees_to_rounding():
    with jax.enable_x64(True):
        conv = nn.Conv(8, (3, 3), param_dtype=jnp.float64)
        model = linen.Sequential([conv, nn.BatchNorm(True, dtype=jnp.float64), linen.relu])
        drawn = _drawn(model, (5, 5, 3))
        variables = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), drawn)
        x = _images((5, 5, 3), jnp.float64)
        found = inference.folded(model, variables, (5, 5, 3), dtype=jnp.float64)
        expected: Any = model.apply(variables, x)
        actual: Any = found.model.apply(found.variables, x)
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-13)


def test_a_network_without_norms_is_returned_as_it_is():
    model = models.create_model("lenet5")
    variables = _drawn(model, (32, 32, 1))
    found = inference.folded(model, variables, (32, 32, 1))
    assert found.model is model
    assert found.folded == ()


def test_variables_without_parameters_are_refused():
    with pytest.raises(ValueError, match="whole result of"):
        inference.folded(models.create_model("lenet5"), {}, (32, 32, 1))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet18", "vgg11_bn", "mobilenet_v2"])
def test_networks_of_the_zoo_predict_the_same(name: str):
    found = _check_same(models.create_model(name, num_classes=10), (64, 64, 3))
    assert found.kept == {}


@pytest.mark.slow
def test_norms_after_sums_stay_in_a_network_that_normalizes_first():
    found = _check_same(models.create_model("wrn16_4"), (32, 32, 3))
    # Of six blocks, the first follows a convolution; the others, and the last norm, follow sums.
    assert len(found.kept) == 6
    assert all("add" in reason for reason in found.kept.values())
