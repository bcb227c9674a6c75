"""Encoders: the backbone's own named maps by stride, under the backbone's own parameters."""

import functools

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import models, nn
from tests.helpers.programs import quickly
from tests.models.shapes import drawn, variables_of

# A backbone small enough to compile; its settings; the feature of each stride.
SMALL = [
    ("resnet8_cifar", {}, {1: "stage1", 2: "stage2", 4: "stage3"}),
    (
        "resnet18",
        {"blocks": (1, 1), "widths": (4, 8)},
        {2: "stem", 4: "stage1", 8: "stage2"},
    ),
    ("wrn10_1", {}, {1: "stage1", 2: "stage2", 4: "final"}),
    (
        "vgg11_bn",
        {"widths": (4, 4, 8, 8, 8), "hidden": (8, 8)},
        {2: "block1", 4: "block2", 8: "block3", 16: "block4", 32: "block5"},
    ),
    ("simple_cnn", {"widths": (4, 8), "pool_size": 3}, {3: "stage1", 9: "stage2"}),
    ("densenet_bc10_4_cifar", {}, {1: "block1", 2: "block2", 4: "final"}),
]
ALL = {
    "resnet50": (2, 4, 8, 16, 32),
    "preact_resnet50": (2, 4, 8, 16, 32),
    "wrn16_4": (1, 2, 4),
    "mobilenet_v2": (2, 4, 8, 16, 32),
    "densenet121": (2, 4, 8, 16, 32),
    "vgg16_c": (2, 4, 8, 16, 32),
    "simple_cnn": (2, 4, 8),
}


# What the other rows have, too.
SLOW = ("resnet18", "wrn10_1", "vgg11_bn", "simple_cnn", "densenet_bc10_4_cifar")
ROWS = [
    pytest.param(*row, id=row[0], marks=[pytest.mark.slow] if row[0] in SLOW else [])
    for row in SMALL
]


@pytest.mark.parametrize(("name", "settings", "features"), ROWS)
def test_maps_are_the_backbones_features_of_its_own_parameters(name, settings, features):
    net = models.create_model(name, **settings)
    encoder = models.encoder(name, **settings)
    size = (64, 64, 3) if name != "simple_cnn" else (36, 36, 3)
    variables = drawn(variables_of(net, size))
    needed = jax.eval_shape(encoder.init, jax.random.key(0), jnp.zeros((1, *size)))
    kept = {c: {k: variables[c][k] for k in needed[c]} for c in needed}
    assert jax.tree.map(jnp.shape, kept) == jax.tree.map(jnp.shape, needed)
    images = jax.random.normal(jax.random.key(1), (2, *size))

    @quickly
    def both(variables, kept, images):
        return models.apply_with_features(net, variables, images)[1], encoder.apply(kept, images)

    expected, maps = both(variables, kept, images)
    assert tuple(maps) == tuple(features) == encoder.strides
    for stride, feature in features.items():
        scale = np.abs(expected[feature]).max()
        np.testing.assert_allclose(maps[stride], expected[feature], atol=1e-6 * scale)
        assert maps[stride].shape[1] == size[0] // stride


TRACED_LONG = ("densenet121", "mobilenet_v2", "preact_resnet50")


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n in TRACED_LONG else n for n in ALL]
)
def test_strides_are_those_of_the_shapes(name):
    encoder = models.encoder(name)
    images = jnp.zeros((1, 64, 96, 3))
    maps, variables = jax.eval_shape(encoder.init_with_output, jax.random.key(0), images)
    assert tuple(maps) == encoder.strides == ALL[name]
    assert all(m.shape[1:3] == (64 // s, 96 // s) for s, m in maps.items())
    assert not {"classifier", "fc6", "last_conv"} & {*variables["params"]}


def test_within_a_module_the_parameters_have_the_encoders_name():
    class Parent(linen.Module):
        @linen.compact
        def __call__(self, x):
            maps = models.encoder("resnet8_cifar")(x)
            return linen.Dense(2, name="head")(maps[4].mean(axis=(1, 2)))

    images = jnp.zeros((1, 16, 16, 3))
    inside = jax.eval_shape(Parent().init, jax.random.key(0), images)
    alone = jax.eval_shape(models.encoder("resnet8_cifar").init, jax.random.key(0), images)
    assert set(inside["params"]) == {"encoder", "head"}
    assert inside["params"]["encoder"] == alone["params"]
    assert inside["batch_stats"]["encoder"] == alone["batch_stats"]


def test_switches_are_where_the_maxima_were():
    encoder = models.encoder("simple_cnn", widths=(3, 4), norm="none")
    images = jax.random.normal(jax.random.key(0), (2, 8, 12, 1))
    variables = drawn(jax.eval_shape(encoder.init, jax.random.key(0), images))
    maps, switches = quickly(functools.partial(encoder.apply, method="with_switches"))(
        variables, images
    )
    assert {stride: each.size for stride, each in switches.items()} == {2: (8, 12), 4: (4, 6)}
    unpooled = nn.MaxUnpool().apply({}, maps["stage2"], switches[4])
    # Each 2x2 window has one value, its maximum.
    windows = np.asarray(unpooled).reshape(2, 2, 2, 3, 2, 4)
    np.testing.assert_array_equal(windows.max(axis=(2, 4)), maps["stage2"])
    assert ((windows != 0).sum(axis=(2, 4)) <= 1).all()
    stage1 = jnp.asarray(maps["stage1"])
    kernel, bias = (variables["params"]["stage2_conv1"][k] for k in ("kernel", "bias"))
    active = jax.nn.relu(
        jax.lax.conv_general_dilated(
            stage1, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        + bias[None, None, None]
    )
    places = np.asarray(unpooled) != 0
    np.testing.assert_allclose(np.asarray(unpooled)[places], np.asarray(active)[places], rtol=1e-5)


def test_imagenets_stem_pool_has_switches_too():
    encoder = models.encoder("resnet18", blocks=(1,), widths=(4,))
    images = jax.ShapeDtypeStruct((1, 32, 32, 3), "float32")
    variables = jax.eval_shape(encoder.init, jax.random.key(0), images)
    _, switches = jax.eval_shape(
        lambda v, x: encoder.apply(v, x, method="with_switches"), variables, images
    )
    assert {stride: each.size for stride, each in switches.items()} == {4: (16, 16)}
    assert [level.stride for level in encoder.levels if level.pooled] == [4]


def test_backbones_batch_statistics_are_updated_under_the_encoders_name():
    encoder = models.encoder("resnet8_cifar")
    images = jnp.zeros((2, 16, 16, 3))

    def run(images):
        maps, variables = encoder.init_with_output(jax.random.key(0), images)
        return maps, encoder.apply(variables, images, True, mutable=["batch_stats"])[1], variables

    _, updates, variables = jax.eval_shape(run, images)
    assert updates["batch_stats"] == variables["batch_stats"]


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("lenet5", {}, "LeNet5 is no encoder; use a network of ResNet, PreActResNet, VGG"),
        ("resnet81", {}, "resnet18"),
        ("resnet18", {"depth": 3}, "takes no 'depth'"),
        ("resnet18", {"norm": "layer"}, "norm must be one of"),
        ("simple_cnn", {"padding": "VALID"}, "needs padding='SAME'"),
        ("simple_cnn", {"pool_size": 3, "pool_strides": 2}, "as large as pool_size"),
        ("simple_cnn", {"filters": "local"}, "filters='local' has weights for one size"),
        ("flax.linen:Dense", {"features": 3}, "no network of cnnjax.models"),
    ],
)
def test_what_is_no_encoder_is_refused(name, settings, message):
    with pytest.raises(ValueError, match=message):
        models.encoder(name, **settings)
