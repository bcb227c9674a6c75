"""Which channels belong together, read from the programs of networks written with flax alone."""

from typing import Any

import jax
import jax.numpy as jnp
import pytest

from cnnjax import compression, models
from cnnjax.compression.paths import flat_paths
from tests.compression.nets import SHAPE, Deciding, Response, Tied


@pytest.fixture(scope="module")
def tied():
    return compression.channel_groups(Tied(), SHAPE)


def axes_of(group):
    return {("/".join(path[1:]), axis) for path, axis in group.members}


def test_a_sum_joins_layers_and_a_concatenation_keeps_them_apart(tied):
    assert [(group.name, group.size) for group in tied.removable] == [
        ("stem", 8),
        ("branch1", 6),
        ("left", 4),
        ("right", 5),
        ("before", 4),
        ("grouped", 4),
        ("hidden", 10),
    ]
    assert tied["stem"].layers == ("stem", "branch2")
    assert tied["left"].layers == ("left",)


def test_a_channel_goes_with_all_that_belongs_to_it(tied):
    assert axes_of(tied["stem"]) == {
        ("stem/kernel", 3),
        ("stem/bias", 0),
        *((f"bn/{name}", 0) for name in ("scale", "bias", "mean", "var")),
        ("branch1/kernel", 2),
        ("branch2/kernel", 3),
        ("branch2/bias", 0),
        ("left/kernel", 2),
        ("right/kernel", 2),
    }
    # The fifth channel of the concatenation is the first of the second layer.
    right = tied["right"].members[("params", "before", "kernel"), 2]
    assert [places.tolist() for places in right] == [[4], [5], [6], [7], [8]]


def test_groups_lose_channels_alike_and_depthwise_filters_go_with_theirs(tied):
    # Three groups of four: each loses one.
    before = tied["before"].members[("params", "before", "kernel"), 3]
    assert [places.tolist() for places in before] == [[0, 4, 8], [1, 5, 9], [2, 6, 10], [3, 7, 11]]
    grouped = tied["grouped"]
    assert grouped.layers == ("grouped", "depthwise")
    # Two filters for each of the three channels; four rows and columns before the dense layer.
    assert grouped.members[("params", "depthwise", "kernel"), 3][1].tolist() == [
        2,
        3,
        10,
        11,
        18,
        19,
    ]
    dense = grouped.members[("params", "hidden", "kernel"), 0][1]
    assert sorted(set((dense % 24).tolist())) == [2, 3, 10, 11, 18, 19]
    assert len(dense) == 6 * 16


def test_channels_are_kept_with_the_operation_and_the_reason():
    assert compression.channel_groups(Tied(), SHAPE)["head"].reason == "the network returns it"
    groups = compression.channel_groups(Response(), SHAPE)
    reasons = {group.name: group.reason or "" for group in groups}
    assert "computes values from neighboring channels" in reasons["normed"]
    assert reasons["cut"].startswith("slice in the network's own call takes some of the channels")
    assert reasons["n"].startswith("reduce_sum in ln computes one value from all channels")
    assert reasons["free"] == ""


def test_an_operation_without_a_rule_keeps_its_channels():
    class Sorting(Deciding):
        def __call__(self, x):
            return jnp.sort(super().__call__(x))

    groups = compression.channel_groups(Sorting(), SHAPE)
    assert "sort in" in (groups["head"].reason or "")
    assert "is not known to keep channels apart" in (groups["head"].reason or "")


def test_wrong_models_shapes_and_names_are_refused(tied):
    with pytest.raises(TypeError, match="channel_groups: str is no"):
        compression.channel_groups("resnet18", SHAPE)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="input_shape"):
        compression.channel_groups(Tied(), (8, 8))
    with pytest.raises(KeyError, match="no group of channels is named 'stm'; did you mean stem"):
        tied["stm"]


FAMILIES = {
    "lenet5": (32, 32, 1),
    "vgg11_bn": (32, 32, 3),
    "resnet20_cifar": (32, 32, 3),
    "resnet50": (32, 32, 3),
    "resnext50_32x4d": (32, 32, 3),
    "preact_resnet20_cifar": (32, 32, 3),
    "wrn10_1": (32, 32, 3),
    "densenet_bc22_12_cifar": (32, 32, 3),
    "mobilenet_v2": (32, 32, 3),
    "squeezenet1_1": (64, 64, 3),
    "googlenet": (128, 128, 3),
    "inception_v3": (75, 75, 3),
    "fractalnet20": (32, 32, 3),
    "zfnet": (224, 224, 3),
}


def family(name):
    # Its auxiliary head needs images of 299 pixels.
    fields: dict[str, Any] = {"aux_heads": False} if name == "inception_v3" else {}
    return models.create_model(name, 10, **fields)


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_most_channels_of_each_family_can_be_removed(name):
    net = family(name)
    groups = compression.channel_groups(net, FAMILIES[name])
    free = sum(group.size for group in groups.removable)
    kept = sum(group.size for group in groups if group.reason is not None)
    assert free > (0 if name == "zfnet" else 4 * kept)
    # Every filter is in one group.
    shapes: Any = jax.eval_shape(net.init, jax.random.key(0), jnp.zeros((1, *FAMILIES[name])))
    kernels = {
        path: leaf.shape
        for path, leaf in flat_paths(shapes["params"]).items()
        if path[-1] == "kernel" and path[0] not in ("aux1", "aux2")
    }
    for path, shape in kernels.items():
        key = ("params", *path), len(shape) - 1
        found = [p for group in groups for places in group.members.get(key, ()) for p in places]
        assert sorted(found) == list(range(shape[-1])), path
