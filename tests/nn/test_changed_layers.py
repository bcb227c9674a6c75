"""nn.change_layers: other widths and other layers at named places of any Linen module."""

from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import pytest

from cnnjax import analysis, models, nn
from cnnjax.analysis.cost.multiply_adds import multiply_adds_by_layer

IMAGES = jax.ShapeDtypeStruct((2, 8, 8, 3), jnp.float32)


class Inner(linen.Module):
    @linen.compact
    def __call__(self, x):
        return linen.relu(linen.Conv(4, (3, 3), name="conv")(x))


class Small(linen.Module):
    """Layers made in `__call__` and in modules around them, with a switch of its own."""

    width: int = 6

    @linen.compact
    def __call__(self, x, *, train=False):
        x = Inner(name="inner")(x)
        x = nn.Conv(self.width, (3, 3), strides=2, name="conv")(x)
        x = linen.BatchNorm(use_running_average=not train, name="bn")(x)
        return linen.Dense(5, name="head")(x.reshape(x.shape[0], -1))


def shapes_of(model) -> Any:
    return jax.tree.map(
        lambda leaf: leaf.shape, jax.eval_shape(model.init, jax.random.key(0), IMAGES)["params"]
    )


def test_a_layer_and_those_that_follow_it_get_the_new_width():
    changed = nn.change_layers(
        Small(), {"inner/conv": {"features": 3}, "conv": {"features": 2, "use_bias": False}}
    )
    assert shapes_of(changed) == {
        "inner": {"conv": {"kernel": (3, 3, 3, 3), "bias": (3,)}},
        "conv": {"kernel": (3, 3, 3, 2)},
        "bn": {"scale": (2,), "bias": (2,)},
        "head": {"kernel": (4 * 4 * 2, 5), "bias": (5,)},
    }


def test_the_changed_network_is_the_network_otherwise():
    changed = nn.change_layers(Small(width=9), {"inner/conv": {"features": 3}})
    assert isinstance(changed, Small)
    assert type(changed).__name__ == "Small"
    assert changed.width == 9
    assert nn.mode_arguments(changed, train=True) == {"train": True}
    assert changed == changed.clone() and hash(changed) == hash(changed.clone())
    assert changed != Small(width=9)


def test_changes_add_up_and_no_changes_change_nothing():
    once = nn.change_layers(Small(), {"conv": {"features": 2}})
    twice = nn.change_layers(once, {"conv": {"rank": 1}, "inner/conv": {"features": 3}})
    assert nn.layer_changes(twice) == {
        "conv": {"features": 2, "rank": 1},
        "inner/conv": {"features": 3},
    }
    assert nn.change_layers(once, {}) is once
    assert nn.layer_changes(Small()) == {}


def test_each_layer_is_called_and_counted_once():
    changed = nn.change_layers(Small(), {"inner/conv": {"features": 3}, "conv": {"rank": 2}})
    variables = jax.eval_shape(changed.init, jax.random.key(0), IMAGES)
    calls = analysis.module_calls(changed, variables, IMAGES)
    layers = [call.name for call in calls if call.is_leaf]
    assert layers == ["inner/conv", "conv/column", "conv/row", "bn", "head"]
    # 3x3x3x3 at 64 places; columns 3x3x2 at 4x8 places, rows 3x2x6 at 4x4.
    expected = {"inner/conv": 81 * 64, "conv/column": 18 * 32, "conv/row": 36 * 16, "head": 480}
    assert multiply_adds_by_layer(changed, (8, 8, 3)) == expected
    assert analysis.summarize(changed, (8, 8, 3)).multiply_adds == sum(expected.values())


def test_a_network_of_the_zoo_keeps_its_features_and_its_place_in_another():
    changed = nn.change_layers(
        models.create_model("simple_cnn", 10, widths=(4, 4)), {"stage1_conv1": {"features": 3}}
    )
    images = jax.ShapeDtypeStruct((1, 16, 16, 3), jnp.float32)
    variables = jax.eval_shape(changed.init, jax.random.key(0), images)
    _, features = jax.eval_shape(
        lambda v, x: models.apply_with_features(changed, v, x), variables, images
    )
    assert next(iter(features.values())).shape[-1] in (3, 4)

    class Around(linen.Module):
        net: linen.Module

        @linen.compact
        def __call__(self, x):
            return self.net(x)

    inside = jax.eval_shape(Around(changed).init, jax.random.key(0), images)["params"]["net"]
    assert inside["stage1_conv1"]["kernel"].shape[-1] == 3


def test_another_librarys_weights_do_not_fit_a_changed_network(tmp_path):
    net: Any = models.create_model("resnet18", 10, layer_changes={"conv1": {"features": 60}})
    wrong: Any = {"conv1": 60}
    with pytest.raises(ValueError, match="torchvision's ResNet has none of the changed"):
        models.export_torchvision(net, {}, tmp_path / "weights.safetensors")
    with pytest.raises(ValueError, match="create_model: layer_changes: change"):
        models.create_model("resnet18", layer_changes=wrong)


def test_remat_and_scan_keep_the_changes():
    net = models.create_model("resnet8_cifar", 10, remat=True)
    changed = nn.change_layers(net, {"stage2_block1/conv1": {"features": 5}})
    images = jax.ShapeDtypeStruct((1, 8, 8, 3), jnp.float32)
    params = jax.eval_shape(changed.init, jax.random.key(0), images)["params"]
    assert params["stage2_block1"]["conv2"]["kernel"].shape == (3, 3, 5, 32)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inner/con": {"features": 3}}, "there is no layer 'inner/con' to change; did you mean"),
        ({"conv": {"feature": 3}}, "Conv conv: there is no field 'feature' to change; did you"),
        ({"conv": {"features": 0}}, "features must be an int of at least 1"),
        ({"bn": {"rank": 3}}, "BatchNorm bn: rank: BatchNorm is no convolution"),
        ({"conv": {"rank": 0}}, "Conv conv: rank must be an int of at least 1, got 0"),
    ],
)
def test_wrong_changes_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        shapes_of(nn.change_layers(Small(), changes))


def test_what_is_no_network_or_no_changes_is_refused():
    wrong: Any = ["conv"]
    with pytest.raises(TypeError, match="list is no flax"):
        nn.change_layers(wrong, {})
    with pytest.raises(TypeError, match="a mapping of a layer's path to its new fields"):
        nn.change_layers(Small(), wrong)
