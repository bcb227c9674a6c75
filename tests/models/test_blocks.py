"""The parts that make the papers' networks different: shortcuts, modules, outputs, dropout."""

from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import models, nn
from cnnjax.analysis.cost.multiply_adds import multiply_adds, multiply_adds_by_layer
from cnnjax.models.blocks.inception import Inception, NaiveInception
from cnnjax.models.blocks.lenet import rbf_codes
from cnnjax.models.blocks.residual import Shortcut
from cnnjax.models.lenet import LeNet5Original
from tests.models.shapes import drawn, registered, variables_of


def test_option_a_takes_every_second_pixel_and_pads_new_channels_with_zeros():
    x = np.arange(2 * 5 * 4 * 3, dtype=np.float32).reshape(2, 5, 4, 3)
    y: Any = Shortcut("A", 8, 2, nn.Conv, nn.BatchNorm).apply({}, jnp.asarray(x))
    assert y.shape == (2, 3, 2, 8)
    np.testing.assert_array_equal(y[..., :3], x[:, ::2, ::2])
    np.testing.assert_array_equal(y[..., 3:], np.zeros((2, 3, 2, 5)))


@pytest.mark.parametrize(("shortcut", "projections"), [("A", 0), ("B", 2), ("C", 9), ("none", 0)])
def test_options_project_where_the_shape_changes_or_everywhere(shortcut, projections):
    model = models.create_model("resnet20_cifar", shortcut=shortcut)
    params = variables_of(model, (32, 32, 3))["params"]
    assert sum("Shortcut_0" in block for block in params.values()) == projections


@pytest.mark.parametrize(("stride_in", "conv1", "conv2"), [("3x3", 56, 28), ("1x1", 28, 28)])
def test_the_bottlenecks_stride_is_in_the_named_convolution(stride_in, conv1, conv2):
    model = models.create_model("resnet50", stride_in=stride_in)
    layers = multiply_adds_by_layer(model, (224, 224, 3))
    assert layers["stage2_block1/conv1"] == conv1**2 * 256 * 128
    assert layers["stage2_block1/conv2"] == conv2**2 * 9 * 128 * 128


def test_preactivation_blocks_share_their_first_norm_with_the_projection():
    model = models.create_model("preact_resnet11_cifar")
    block = variables_of(model, (32, 32, 3))["params"]["stage1_block1"]
    assert set(block) == {"bn1", "bn2", "bn3", "conv1", "conv2", "conv3", "shortcut"}
    assert set(block["shortcut"]) == {"kernel"}


def test_inception_modules_have_the_lectures_sizes_and_multiply_adds():
    images = (28, 28, 256)
    naive = NaiveInception((128, 192, 96))
    # Without the lectures' slip, which counts the 3x3 of the bottleneck module twice.
    assert multiply_adds(naive, images) == 854_196_224
    bottleneck = Inception((128, 64, 192, 64, 96, 64))
    assert multiply_adds(bottleneck, images) == 271_351_808
    x = jax.ShapeDtypeStruct((1, *images), jnp.float32)
    for module, channels in ((naive, 672), (bottleneck, 480)):
        y, _ = jax.eval_shape(module.init_with_output, jax.random.key(0), x)
        assert y.shape == (1, 28, 28, channels)


def test_googlenet_has_5x5_kernels_and_torchvisions_form_3x3():
    for variant, size in ((None, 5), ("torchvision", 3)):
        _, _, variables = registered("googlenet", variant)
        kernel = variables["params"]["inception_3a"]["conv5x5"]["conv"]["kernel"]
        assert kernel.shape == (size, size, 16, 32)


def test_inception_v3_has_94_convolutions_and_factorized_ones():
    _, _, variables = registered("inception_v3")
    trunk = {k: v for k, v in variables["params"].items() if not k.startswith("aux")}
    shapes = [
        leaf.shape
        for path, leaf in jax.tree_util.tree_leaves_with_path(trunk)
        if path[-1].key == "kernel" and len(leaf.shape) == 4
    ]
    assert len(shapes) == 94
    assert sum(shape[:2] in {(1, 7), (7, 1)} for shape in shapes) == 26
    assert sum(shape[:2] in {(1, 3), (3, 1)} for shape in shapes) == 8


def test_lenet_1998_gives_minus_the_squared_distance_to_each_code():
    model = models.create_model("lenet5_1998", num_classes=12)
    variables = drawn(variables_of(model, (32, 32, 1)))
    images = jax.random.normal(jax.random.key(0), (3, 32, 32, 1))
    logits, features = models.apply_with_features(model, variables, images)
    codes = rbf_codes(12)
    assert codes.shape == (12, 84)
    assert set(np.unique(codes)) == {-1.0, 1.0}
    assert len(np.unique(codes, axis=0)) == 12
    f6 = np.asarray(features["f6"], np.float64)
    expected = -((f6[:, None] - codes[None]) ** 2).sum(-1)
    np.testing.assert_allclose(logits, expected, rtol=1e-4)
    assert np.abs(f6).max() <= 1.7159


def test_lenet_1998_subsamples_with_a_coefficient_and_a_bias_per_map():
    params = registered("lenet5_1998")[2]["params"]
    for layer, maps in (("s2", 6), ("s4", 16)):
        assert {k: v.shape for k, v in params[layer].items()} == {
            "coefficient": (maps,),
            "bias": (maps,),
        }
    assert LeNet5Original.classifiers == ()


def test_grouped_alexnet_does_not_mix_its_halves():
    """conv2's first 128 maps see the first 48 of conv1 alone."""
    model = models.create_model("alexnet", hidden=(4, 4))
    variables = drawn(variables_of(model, (67, 67, 3)))
    kernel = np.asarray(variables["params"]["conv1"]["kernel"]).copy()
    kernel[..., :48] = 0
    changed = {
        "params": {
            **variables["params"],
            "conv1": {**variables["params"]["conv1"], "kernel": jnp.asarray(kernel)},
        }
    }
    images = jax.random.normal(jax.random.key(0), (1, 67, 67, 3))
    run = jax.jit(lambda v: models.apply_with_features(model, v, images)[1]["conv2"])
    before, after = np.asarray(run(variables)), np.asarray(run(changed))
    assert not np.allclose(before[..., :128], after[..., :128], atol=1e-3)
    # Normalization reaches two maps over the border between the halves, and hardly changes them.
    np.testing.assert_allclose(after[..., 128:], before[..., 128:], atol=1e-2 * before.max())


def test_the_single_tower_pools_before_it_normalizes():
    shapes = {}
    for name in ("alexnet", "alexnet_single_tower"):
        model, info, variables = registered(name)
        seen = []

        def note(next_method, args, kwargs, context, seen=seen):
            if type(context.module) in (nn.MaxPool, nn.LocalResponseNorm):
                seen.append(context.module.name)
            return next_method(*args, **kwargs)

        with linen.intercept_methods(note):
            images = jax.ShapeDtypeStruct((1, *info.input_size), jnp.float32)
            jax.eval_shape(model.apply, variables, images)
        shapes[name] = seen
    assert shapes["alexnet"] == ["norm1", "pool1", "norm2", "pool2", "pool5"]
    assert shapes["alexnet_single_tower"] == ["pool1", "norm1", "pool2", "norm2", "pool5"]
