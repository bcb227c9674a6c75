"""What every registered network promises, so that registering a new one is enough to test it."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import models
from cnnjax.models.mobilenet_v2 import BlockRow
from cnnjax.models.net import Net
from tests.helpers.programs import quickly
from tests.models.shapes import (
    DEEPER,
    SECONDS,
    counted,
    drawn,
    logits_shape,
    registered,
    variables_of,
)

NAMES = models.list_models()

FORMS = [pytest.param(name, marks=pytest.mark.slow) if name in DEEPER else name for name in NAMES]


@pytest.mark.parametrize("name", FORMS)
def test_training_gives_logits_named_features_and_new_statistics(name):
    model, info, variables = registered(name)
    images = jax.ShapeDtypeStruct((2, *info.input_size), jnp.float32)

    def apply(variables, x, key):
        return models.apply_with_features(
            model, variables, x, train=True, rngs={"dropout": key}, mutable=["batch_stats"]
        )

    (logits, features), updates = jax.eval_shape(apply, variables, images, jax.random.key(0))
    assert logits.shape == logits_shape(model, info.input_size)
    assert logits.dtype == jnp.float32
    assert features
    for feature in features.values():
        assert feature.ndim in (2, 4)
        assert feature.shape[0] == 2
    heads = {path.split("/")[0] for path in model.classifiers if path.startswith("aux")}
    assert heads == {f for f in features if f.startswith("aux")}
    assert all(features[head].shape == logits.shape for head in heads)
    statistics = {k: v for k, v in variables.items() if k != "params"}
    assert jax.tree.map(jnp.shape, updates) == jax.tree.map(jnp.shape, statistics)
    assert {*variables} <= {"params", "batch_stats"}


@pytest.mark.parametrize("name", FORMS)
def test_classes_channels_input_size_and_dtype_are_free(name):
    info = models.model_info(name)
    model = models.create_model(name, num_classes=7, dtype=jnp.bfloat16)
    assert isinstance(model, Net)
    height, width, channels = info.input_size
    # A larger image that is not square, with another number of channels.
    multiple = getattr(model, "multiple", 1)
    rows, columns = (9, 30) if multiple == 1 else (multiple, 2 * multiple)
    size = (height + rows, width + columns, channels + 1)
    images = jax.ShapeDtypeStruct((1, *size), jnp.float32)
    logits, variables = jax.eval_shape(model.init_with_output, jax.random.key(0), images)
    assert logits.shape == logits_shape(model, size, batch=1)
    assert logits.dtype == jnp.bfloat16
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n in SECONDS else n for n in NAMES]
)
def test_figures_and_classifiers_are_stated(name):
    model, info, variables = counted(name)
    assert info.name == name
    assert info.source
    assert len(info.mean) == len(info.std)
    assert len(info.mean) in (1, info.input_size[2])
    assert all(deviation > 0 for deviation in info.std)
    for path in model.classifiers:
        layer = variables["params"]
        for part in path.split("/"):
            layer = layer[part]
        assert layer["bias"].shape == (model.num_classes,)


# A network small enough to compile: name, settings, image size. One of each family, by default.
TINY = {"hidden": (16, 16)}
MOBILE_ROWS = (BlockRow(1, 16, 1, 1), BlockRow(6, 24, 2, 2))
SMALL_ENCODER = {"encoder": "simple_cnn", "encoder_fields": {"widths": (4, 8)}}
SMALL = [
    ("lenet_1989", {}, (16, 16, 1)),
    ("lenet5", {}, (16, 16, 1)),
    ("lenet5_1998", {}, (32, 32, 1)),
    ("alexnet", TINY, (67, 67, 3)),
    ("zfnet", TINY, (63, 63, 3)),
    ("vgg11_bn", {**TINY, "widths": (8, 8, 16, 16, 16)}, (32, 32, 3)),
    ("googlenet", {}, (81, 81, 3)),
    ("resnet8_cifar", {}, (16, 16, 3)),
    (
        "resnext50_32x4d",
        {"blocks": (1, 1), "widths": (64, 128), "groups": 4, "zero_init_gamma": True},
        (32, 32, 3),
    ),
    ("preact_resnet11_cifar", {}, (16, 16, 3)),
    ("wrn10_1", {"dropout_rate": 0.3}, (16, 16, 3)),
    (
        "fractalnet20",
        {"widths": (8, 16), "dropout_rates": (0.0, 0.1)},
        (16, 16, 3),
    ),
    ("densenet_bc10_4_cifar", {"dropout_rate": 0.2}, (16, 16, 3)),
    ("mobilenet_v2_050", {"rows": MOBILE_ROWS}, (16, 16, 3)),
    ("squeezenet1_1", {"fires": (((4, 8), (4, 8)), ((8, 16),)), "bypass": True}, (32, 32, 3)),
    ("simple_cnn", {"widths": (4, 8), "shortcut": "sum", "dropout_rate": 0.3}, (8, 8, 1)),
    (
        "fcn8s",
        {
            **{"encoder": "simple_cnn", "encoder_fields": {"widths": (4, 8)}, "output_stride": 2},
            **{"num_classes": 3, "hidden": (8,), "window": 3, "learned_last": True},
        },
        (8, 8, 3),
    ),
    (
        "fcn_resnet50",
        {"num_classes": 3, "encoder_fields": {"blocks": (1, 1, 1), "widths": (4, 4, 4)}},
        (36, 32, 3),
    ),
    (
        "segnet",
        {"encoder": "simple_cnn", "encoder_fields": {"widths": (4, 8)}, "num_classes": 3},
        (9, 8, 3),
    ),
    ("unet", {"base": 2, "depth": 1, "norm": "batch"}, (4, 4, 1)),
    ("naive_dense", {"width": 4, "depth": 2, "num_classes": 3}, (8, 8, 3)),
    (
        "localizer",
        {**SMALL_ENCODER, "hidden": (8,), "dropout_rate": 0.2, "num_classes": 3},
        (8, 8, 1),
    ),
    ("center_net", {**SMALL_ENCODER, "width": 4, "stride": 2, "num_classes": 3}, (8, 8, 1)),
]
LARGE_SIZES = {
    "LeNet1989": 16,
    "LeNet5": 32,
    "LeNet5Original": 32,
    "AlexNet": 67,
    "ZFNet": 63,
    "VGG": 32,
    "GoogLeNet": 81,
    "InceptionV3": 299,
    "ResNet": 32,
    "PreActResNet": 32,
    "FractalNet": 32,
    "DenseNet": 32,
    "MobileNetV2": 32,
    "SqueezeNet": 64,
    "SimpleCNN": 28,
    "FCN": 32,
    "DilatedFCN": 64,
    "SegNet": 32,
    "UNet": 32,
    "NaiveDense": 16,
    "Localizer": 32,
    "CenterNet": 32,
}


def check_training(model, size):
    """Every parameter gets a gradient, keys fix everything, and modes differ where they should."""
    variables = drawn(variables_of(model, size))
    params = variables["params"]
    statistics = {k: v for k, v in variables.items() if k != "params"}
    keys = jax.random.split(jax.random.key(1), 3)
    images = jax.random.normal(keys[0], (4, *size))
    labels = jnp.arange(4) % model.num_classes

    @quickly
    def step(params, key):
        def loss(params):
            (logits, features), updates = models.apply_with_features(
                model,
                {"params": params, **statistics},
                images,
                train=True,
                rngs={"dropout": key},
                mutable=["batch_stats"],
            )
            heads = [logits, *(f for n, f in features.items() if n.startswith("aux"))]
            # All pixels of an image have its label.
            wanted = labels.reshape(-1, *[1] * (logits.ndim - 1))
            picked = [jnp.take_along_axis(jax.nn.log_softmax(h), wanted, -1) for h in heads]
            return -sum(p.mean() for p in picked), (logits, updates)

        return jax.value_and_grad(loss, has_aux=True)(params)

    (_, (logits, updates)), gradients = step(params, keys[1])
    for path, gradient in jax.tree_util.tree_leaves_with_path(gradients):
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        assert np.isfinite(gradient).all(), name
        # Batch norm takes the mean off again, so that the biases before it matter in no way.
        normed = getattr(model, "norm", None) == "batch"
        if not (normed and "conv" in name and name.endswith("bias")):
            assert np.abs(gradient).max() > 1e-12, name
    assert np.array_equal(logits, step(params, keys[1])[0][1][0])
    assert np.array_equal(logits, step(params, keys[2])[0][1][0]) != drops_something(model)
    assert jax.tree.structure(updates) == jax.tree.structure(statistics)
    for old, new in zip(jax.tree.leaves(statistics), jax.tree.leaves(updates), strict=True):
        assert not np.array_equal(old, new)

    evaluate = quickly(lambda x: model.apply({"params": params, **statistics}, x))
    # In evaluation an image's logits do not depend on the others: only their order changes.
    forward, backward = np.asarray(evaluate(images)), np.asarray(evaluate(images[::-1]))
    np.testing.assert_allclose(forward, backward[::-1], atol=1e-4 * np.abs(forward).max())


def drops_something(model):
    rates = ("dropout_rate", "drop_path_rate", "local_drop_rate", "global_fraction")
    return any(getattr(model, rate, 0) for rate in rates) or any(
        getattr(model, "dropout_rates", ())
    )


def without_drop_path(name) -> dict[str, Any]:
    return {"local_drop_rate": 0.0, "global_fraction": 0.0} if "fractal" in name else {}


# What takes longest to compile is among the slow ones.
LONG = (
    *("alexnet", "zfnet", "googlenet", "resnext50_32x4d", "fractalnet20", "squeezenet1_1"),
    *("densenet_bc10_4_cifar", "mobilenet_v2_050"),
    *("fcn8s", "fcn_resnet50", "segnet", "naive_dense", "center_net", "localizer"),
)
ROWS = [
    pytest.param(*row, id=row[0], marks=[pytest.mark.slow] if row[0] in LONG else [])
    for row in SMALL
]


@pytest.mark.parametrize(("name", "settings", "size"), ROWS)
def test_a_small_network_of_each_family_trains(name, settings, size):
    settings = {**without_drop_path(name), **settings}
    check_training(models.create_model(name, **settings), size)


# Other choices than the published ones: each form of a part once, on maps that group norm can take.
CHOICES = [
    ("vgg11", {**TINY, "widths": (8, 8, 16, 16, 16), "norm": "group"}, (64, 64, 3)),
    ("wrn10_1", {"activation": "silu", "norm": "group", "padding_mode": "reflect"}, (16, 16, 3)),
    ("resnet8_cifar", {"activation": "leaky_relu", "norm": "none"}, (16, 16, 3)),
    ("preact_resnet11_cifar", {"activation": "gelu", "padding_mode": 0.1}, (16, 16, 3)),
    ("googlenet", {"module": "naive", "norm": "batch", "aux_heads": False}, (32, 32, 3)),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "settings", "size"), CHOICES, ids=[row[0] for row in CHOICES])
def test_networks_of_other_choices_train(name, settings, size):
    check_training(models.create_model(name, 10, **settings), size)


@pytest.mark.parametrize(("name", "settings", "size"), SMALL, ids=[row[0] for row in SMALL])
def test_native_backward_rules_allow_forward_mode(name, settings, size):
    model = models.create_model(name, backward="native", **settings)
    images = jax.ShapeDtypeStruct((2, *size), jnp.float32)

    def tangent(variables, x, key):
        def logits(x):
            return model.apply(
                variables, x, train=True, rngs={"dropout": key}, mutable=["batch_stats"]
            )[0]

        return jax.jvp(logits, (x,), (jnp.ones_like(x),))[1]

    key = jax.random.key(0)
    shape = jax.eval_shape(tangent, variables_of(model, size), images, key).shape
    assert shape == logits_shape(model, size)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_network_trains(name):
    model = models.create_model(name, **without_drop_path(name))
    channels = models.model_info(name).input_size[2]
    side = LARGE_SIZES[type(model).__name__]
    check_training(model, (side, side, channels))


def test_every_family_has_a_small_network():
    families = {type(models.create_model(name)) for name in NAMES}
    small = {type(models.create_model(name)) for name, *_ in SMALL}
    # Inception-v3 is 94 convolutions deep and needs images of 299x299: it is in the slow run.
    assert {f.__name__ for f in families - small} <= {"InceptionV3", "VGG"}
