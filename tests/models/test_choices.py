"""Activation and normalization as fields of the zoo's networks."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import models, nn
from cnnjax.models.mobilenet_v2 import BlockRow
from cnnjax.models.net import Net
from tests.helpers.programs import quickly
from tests.models.shapes import drawn, variables_of

# One small network of each family whose parts can be chosen.
CHOICES: dict[str, tuple[dict[str, Any], tuple[int, int, int]]] = {
    "vgg11": ({"widths": (4, 4, 8, 8, 8), "hidden": (8, 8)}, (32, 32, 3)),
    # Of 64 pixels the last modules see 2x2: on 1x1, groups of one channel have no variance.
    "googlenet": ({"aux_heads": False}, (64, 64, 3)),
    "resnet8_cifar": ({}, (16, 16, 3)),
    "plain8_cifar": ({}, (16, 16, 3)),
    "resnext50_32x4d": ({"blocks": (1, 1), "widths": (64, 128), "groups": 4}, (32, 32, 3)),
    "preact_resnet11_cifar": ({}, (16, 16, 3)),
    "wrn10_1": ({}, (16, 16, 3)),
    "densenet_bc10_4_cifar": ({}, (16, 16, 3)),
    "mobilenet_v2_050": ({"rows": (BlockRow(1, 16, 1, 1), BlockRow(6, 24, 2, 2))}, (16, 16, 3)),
    "squeezenet1_1": ({"fires": (((4, 8), (4, 8)),)}, (32, 32, 3)),
}
SLOW = CHOICES.keys() - {"resnet8_cifar"}
FORMS = pytest.mark.parametrize("name", CHOICES)
# Nine modules of four branches take longest to trace.
MOST = pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.slow if n == "googlenet" else ()) for n in CHOICES],
)


def made(name, **fields):
    settings, size = CHOICES[name]
    return models.create_model(name, 10, **settings, **fields), size


def layers(tree, path=()):
    """Yields the path and the arrays of each layer."""
    arrays = {k: v for k, v in tree.items() if not hasattr(v, "items")}
    if arrays:
        yield path, arrays
    for name, value in tree.items():
        if name not in arrays:
            yield from layers(value, (*path, name))


@FORMS
def test_group_norm_has_batch_norms_parameters_and_no_statistics(name):
    trees = [variables_of(*made(name, norm=norm)) for norm in ("batch", "group")]
    shapes = [jax.tree.map(jnp.shape, tree["params"]) for tree in trees]
    assert shapes[0] == shapes[1]
    assert [sorted(tree) for tree in trees] == [["batch_stats", "params"], ["params"]]


@FORMS
def test_networks_without_normalization_have_a_bias_in_each_convolution(name):
    variables = variables_of(*made(name, norm="none"))
    assert sorted(variables) == ["params"]
    for path, arrays in layers(variables["params"]):
        assert sorted(arrays) == ["bias", "kernel"], path


@MOST
def test_every_activation_of_a_network_is_the_chosen_one(name):
    def traced(**fields):
        model, size = made(name, **fields)
        variables = variables_of(model, size)
        images = jax.ShapeDtypeStruct((1, *size), jnp.float32)
        return str(jax.make_jaxpr(model.apply)(variables, images))

    assert "relu" in traced()
    assert "relu" not in traced(activation="identity")


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow if n in SLOW else ()) for n in CHOICES]
)
def test_a_training_step_reaches_every_parameter(name):
    model, size = made(name, activation="gelu", norm="group")
    variables = drawn(variables_of(model, size))
    images = jax.random.normal(jax.random.key(1), (2, *size))

    def loss(params):
        logits: Any = model.apply(
            {"params": params}, images, train=True, rngs={"dropout": jax.random.key(2)}
        )
        return jax.nn.logsumexp(logits, axis=-1).mean() - logits[:, 0].mean()

    gradients = quickly(jax.grad(loss))(variables["params"])
    for path, gradient in jax.tree_util.tree_leaves_with_path(gradients):
        assert np.isfinite(gradient).all(), path
        assert np.abs(gradient).max() > 0, path


CHOICE = {"activation": "silu", "norm": "group", "padding_mode": "replicate"}


@MOST
def test_native_rules_allow_forward_mode_with_every_choice(name):
    model, size = made(name, backward="native", **CHOICE)
    images = jax.ShapeDtypeStruct((2, *size), jnp.float32)

    def tangent(variables, x, key):
        def logits(x):
            return model.apply(variables, x, train=True, rngs={"dropout": key})

        return jax.jvp(logits, (x,), (jnp.ones_like(x),))[1]

    variables = variables_of(model, size)
    assert jax.eval_shape(tangent, variables, images, jax.random.key(0)).shape == (2, 10)


@MOST
def test_choices_in_half_precision_give_logits_of_that_dtype(name):
    model, size = made(name, dtype=jnp.bfloat16, **CHOICE)
    images = jax.ShapeDtypeStruct((2, *size), jnp.float32)
    logits, variables = jax.eval_shape(model.init_with_output, jax.random.key(0), images)
    assert (logits.shape, logits.dtype) == ((2, 10), jnp.bfloat16)
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}


def test_stacked_blocks_compute_the_same_with_every_choice():
    model, size = made("resnet8_cifar", blocks=(2, 2), widths=(4, 8), **CHOICE)
    variables = drawn(variables_of(model, size))
    images = jax.random.normal(jax.random.key(1), (2, *size))
    rows = {name: v for name, v in variables["params"].items() if not name.endswith("block2")}
    for stage in (1, 2):
        block = variables["params"][f"stage{stage}_block2"]
        rows[f"stage{stage}_rest"] = jax.tree.map(lambda x: x[None], block)
    stacked: Any = quickly(model.clone(scan=True).apply)({"params": rows}, images)
    apart: Any = quickly(model.apply)(variables, images)
    np.testing.assert_allclose(stacked, apart, atol=1e-5)


def early_features(padding_mode, images):
    model, size = made("plain8_cifar", padding_mode=padding_mode)
    variables = drawn(variables_of(model, size))
    return models.apply_with_features(model, variables, images)[1]["stage1"]


def test_circular_padding_lets_feature_maps_shift_with_the_image():
    images = jax.random.normal(jax.random.key(1), (1, 12, 12, 3))
    shift = {"shift": (3, -2), "axis": (1, 2)}
    shifted = jnp.roll(images, **shift)
    features = early_features("circular", images)
    np.testing.assert_allclose(
        early_features("circular", shifted), jnp.roll(features, **shift), atol=1e-4
    )
    zeros = early_features("zeros", images)
    assert np.abs(early_features("zeros", shifted) - jnp.roll(zeros, **shift)).max() > 0.1
    # Five convolutions see the border from three pixels away, not more.
    np.testing.assert_allclose(zeros[:, 3:-3, 3:-3], features[:, 3:-3, 3:-3], atol=1e-4)


def test_a_constant_is_what_convolutions_see_around_the_image():
    images = jnp.full((1, 12, 12, 3), 0.7)
    model, size = made("plain8_cifar", padding_mode=0.7, norm="none", activation="identity")
    variables = drawn(variables_of(model, size))
    captured = models.apply_with_features(model, variables, images)[1]["stem"]
    # Constant images stay constant under constant padding by the same value.
    np.testing.assert_allclose(
        captured, np.broadcast_to(captured[:, :1, :1], captured.shape), atol=1e-5
    )


def test_replicated_edges_keep_constant_images_constant():
    model, size = made("resnet8_cifar", padding_mode="replicate")
    variables = drawn(variables_of(model, size))
    features = models.apply_with_features(model, variables, jnp.full((1, 16, 16, 3), 0.7))[1]
    for name in ("stem", "stage1", "stage2", "stage3"):
        maps = features[name]
        np.testing.assert_allclose(maps, np.broadcast_to(maps[:, :1, :1], maps.shape), atol=1e-3)


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("resnet18", {"norm": "layer"}, "ResNet: norm must be one of .'batch', 'group', 'none'."),
        ("vgg16", {"norm": None}, "VGG: norm must be one of"),
        ("vgg16", {"norm": ["batch"]}, "VGG: norm must be one of"),
        ("wrn16_4", {"activation": "gelo"}, "unknown activation 'gelo'; did you mean gelu"),
        ("wrn16_4", {"activation": "no_such_module_here:f"}, "no_such_module_here"),
        ("googlenet", {"activation": 3}, "activation must be a name or a path, got 3"),
        ("vgg16", {"batch_norm": True}, "takes no 'batch_norm'"),
        ("alexnet", {"norm": "group"}, "takes no 'norm'"),
        ("vgg16", {"padding_mode": "mirror"}, "VGG: padding_mode must be one of 'zeros', 'rep"),
        ("resnet18", {"padding_mode": True}, "ResNet: padding_mode must be"),
        ("googlenet", {"module": "plain"}, "GoogLeNet: module must be one of .'bottleneck', 'n"),
        ("inception_v3", {"five": 3}, "InceptionV3: five must be one of .'5x5', 'two_3x3'."),
        (
            "resnet18",
            {"norm": "none", "zero_init_gamma": True},
            "zero_init_gamma=True needs a norm",
        ),
    ],
)
def test_wrong_choices_are_refused_by_name(name, fields, message):
    with pytest.raises(ValueError, match=message):
        models.create_model(name, **fields)


def test_a_registered_activation_is_a_choice(monkeypatch):
    monkeypatch.setattr(nn.ACTIVATIONS, "_parts", dict(nn.ACTIVATIONS._parts))
    nn.ACTIVATIONS.add("halved", lambda x: x / 2)
    model, size = made("resnet8_cifar", activation="halved")
    x = jnp.full((1, *size), 2.0)
    assert isinstance(model, Net)
    np.testing.assert_array_equal(model.activate(x), jnp.ones_like(x))


def test_networks_without_the_fields_rectify_and_use_batch_norm():
    model: Any = models.create_model("fractalnet20")
    np.testing.assert_array_equal(model.activate(jnp.array([-1.0, 2.0])), [0.0, 2.0])
    assert isinstance(model.norm_layer(True)(), nn.BatchNorm)
