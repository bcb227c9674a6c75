"""The registry: names, aliases, families of names, variants and overrides, and its refusals."""

import jax.numpy as jnp
import pytest

from cnnjax import models

DESIGNED = {
    "lenet_1989",
    "lenet5",
    "lenet5_1998",
    "alexnet",
    "alexnet_single_tower",
    "zfnet",
    "zfnet_512",
    "vgg11",
    "vgg11_lrn",
    "vgg13",
    "vgg16_c",
    "vgg16",
    "vgg19",
    "vgg11_bn",
    "vgg13_bn",
    "vgg16_c_bn",
    "vgg16_bn",
    "vgg19_bn",
    "googlenet",
    "inception_v3",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "plain18",
    "plain34",
    "resnet20_cifar",
    "resnet32_cifar",
    "resnet44_cifar",
    "resnet56_cifar",
    "resnet110_cifar",
    "plain20_cifar",
    "plain56_cifar",
    "preact_resnet50",
    "preact_resnet101",
    "preact_resnet152",
    "preact_resnet200",
    "preact_resnet110_cifar",
    "preact_resnet164_cifar",
    "resnext50_32x4d",
    "wide_resnet50_2",
    "wide_resnet101_2",
    "wrn16_4",
    "wrn28_10",
    "fractalnet20",
    "fractalnet34",
    "densenet121",
    "densenet161",
    "densenet169",
    "densenet201",
    "densenet40_12_cifar",
    "mobilenet_v2",
    "squeezenet1_0",
    "squeezenet1_1",
    "fcn32s",
    "fcn16s",
    "fcn8s",
    "fcn_resnet50",
    "segnet",
    "unet",
    "naive_dense",
    "localizer",
    "center_net",
}


def test_lists_every_network_of_the_design():
    assert set(models.list_models()) >= DESIGNED


def test_lists_by_pattern_in_the_order_of_numbers():
    listed = models.list_models("resnet*")
    assert listed.index("resnet50") < listed.index("resnet101")
    assert all(name.startswith("resnet") for name in listed)
    assert models.list_models("no_such_*") == []


@pytest.mark.parametrize(
    ("alias", "name"), [("vgg_a", "vgg11"), ("vgg_d", "vgg16"), ("vgg_e_bn", "vgg19_bn")]
)
def test_aliases_are_the_same_network(alias, name):
    assert models.create_model(alias) == models.create_model(name)
    assert models.model_info(alias) == models.model_info(name)


@pytest.mark.parametrize(
    ("name", "convolutions"),
    [("resnet38_cifar", 36), ("plain14_cifar", 12), ("wrn22_3", 18), ("preact_resnet29_cifar", 27)],
)
def test_families_of_names_give_their_depth(name, convolutions):
    model = models.create_model(name)
    in_block = 3 if getattr(model, "bottleneck", False) else 2
    assert sum(model.blocks) * in_block == convolutions
    assert models.model_info(name).parameters is None


def test_names_of_densenets_give_depth_and_growth():
    plain, bottlenecks = (models.create_model(f"densenet{d}_cifar") for d in ("22_7", "_bc22_7"))
    assert (plain.blocks, plain.growth, plain.bottleneck) == ((6, 6, 6), 7, False)
    assert (bottlenecks.blocks, bottlenecks.compression) == ((3, 3, 3), 0.5)
    assert models.model_info("densenet_bc250_24_cifar").parameters == 15_324_406


def test_names_of_mobilenets_give_their_width():
    assert models.create_model("mobilenet_v2_100") == models.create_model("mobilenet_v2")
    assert models.create_model("mobilenet_v2_130").width == 1.3
    assert models.model_info("mobilenet_v2_130").parameters is None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet21_cifar", r"depth must be 6n \+ 2"),
        ("wrn27_10", r"depth must be 6n \+ 4"),
        ("wrn28_0", "width at least 1"),
        ("preact_resnet30_cifar", r"110 or 9n \+ 2"),
        ("densenet41_12_cifar", r"depth must be 3n \+ 4 \(7, 10, 13, ...\)"),
        ("densenet_bc100_0_cifar", r"6n \+ 4 .* growth rate at least 1"),
        ("densenet_bc43_12_cifar", r"depth must be 6n \+ 4 \(10, 16, 22, ...\)"),
        ("mobilenet_v2_000", "width must be at least 1 per cent"),
        ("mobilenet_v2_50", "did you mean mobilenet_v2_050"),
        ("densnet121", "did you mean densenet121"),
        ("resnet51", "did you mean resnet50"),
        ("lenet", "did you mean lenet5"),
        ("", "list_models"),
    ],
)
def test_unknown_names_are_refused_with_the_nearest(name, message):
    for function in (models.create_model, models.model_info):
        with pytest.raises(ValueError, match=message):
            function(name)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dropout": 0.5}, "takes no 'dropout'; did you mean .*dropout_rate.*allowed are "),
        ({"parent": None, "foo": 1}, "takes no 'foo', 'parent'"),
        ({"variant": "torch"}, "no variant 'torch'; there is 'torchvision'"),
        ({"backward": "mine"}, "backward must be one of .*'mine'"),
        ({"initialization": "zero"}, "initialization must be one of .*'zero'"),
        ({"num_classes": 0}, "num_classes must be an int of at least 1, got 0"),
        ({"num_classes": 2.5}, "num_classes must be an int"),
        ({"num_classes": True}, "num_classes must be an int"),
        ({"dtype": jnp.int32}, "dtype must be a floating one.*int32"),
    ],
)
def test_unknown_settings_are_refused_with_the_allowed_ones(settings, message):
    with pytest.raises(ValueError, match=message):
        models.create_model("alexnet", **settings)


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("resnet50", "shortcut", "D"),
        ("resnet50", "stride_in", "5x5"),
        ("preact_resnet50", "stem", "mnist"),
        ("fractalnet20", "column", 3),
        ("fractalnet20", "head", "conv"),
    ],
)
def test_settings_of_a_family_are_checked(name, field, value):
    with pytest.raises(ValueError, match=f"{field} must be one of .*{value!r}"):
        models.create_model(name, **{field: value})


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("resnet50", {"blocks": (0, 1, 1, 1)}, "each entry of blocks must be an int of at least 1"),
        ("resnet50", {"blocks": (1, 2)}, r"blocks and widths must have as many.*blocks=\(1, 2\)"),
        ("vgg16", {"blocks": ((3,), (3.0,))}, "each entry of blocks must be an int"),
        ("vgg16", {"widths": (8, 8)}, "blocks and widths must have as many"),
        ("vgg16", {"dropout_rate": 1.5}, "dropout_rate must be a number from 0 to 1, got 1.5"),
        ("alexnet", {"groups": 0}, "groups must be an int of at least 1, got 0"),
        ("googlenet", {"dropout_rate": -0.1}, "dropout_rate must be a number from 0 to 1"),
        ("inception_v3", {"dropout_rate": "half"}, "dropout_rate must be a number from 0 to 1"),
        ("wrn16_4", {"blocks": (2, 2)}, "blocks and widths must have as many"),
        ("densenet121", {"blocks": (6, 0)}, "each entry of blocks must be an int of at least 1"),
        ("densenet121", {"compression": 0.0}, "compression must be a number above 0 and at most 1"),
        ("densenet121", {"growth": 1.5}, "growth must be an int of at least 1, got 1.5"),
        ("mobilenet_v2", {"width": -0.5}, "width must be a number above 0, got -0.5"),
        ("mobilenet_v2", {"rows": ((6, 24, 2, 2),)}, "each entry of rows must be a BlockRow"),
        ("squeezenet1_1", {"fires": (((0, 64),),)}, "fires must be an int of at least 1"),
        ("squeezenet1_1", {"dropout_rate": 2}, "dropout_rate must be a number from 0 to 1"),
        ("fractalnet20", {"columns": 0}, "columns must be an int of at least 1, got 0"),
        ("fractalnet20", {"widths": (8, 8)}, "widths and dropout_rates must have as many"),
        ("fractalnet20", {"local_drop_rate": 2.0}, "local_drop_rate must be a number from 0 to 1"),
    ],
    ids=str,
)
def test_numbers_that_make_no_network_are_refused(name, settings, message):
    with pytest.raises(ValueError, match=message):
        models.create_model(name, **settings)


def test_overrides_reach_the_network():
    model = models.create_model("wrn16_4", num_classes=100, dtype=jnp.bfloat16, dropout_rate=0.3)
    assert (model.num_classes, model.dtype, model.dropout_rate) == (100, jnp.bfloat16, 0.3)


def test_taken_names_are_refused():
    from cnnjax.models.info import ModelInfo
    from cnnjax.models.registry import register

    taken = ModelInfo("vgg_a", "no paper", input_size=(1, 1, 1), parameters=None)
    with pytest.raises(ValueError, match="'vgg_a' is taken"):
        register(models.lenet.LeNet5, taken)


@pytest.mark.parametrize(
    ("name", "variant"),
    [("googlenet", "torchvision"), ("inception_v3", "torchvision"), ("preact_resnet50", "timm")],
)
def test_weights_of_networks_for_minus_one_to_one_state_these_statistics(name, variant):
    # (pixel - mean) / std maps 0 to -1 and 1 to 1.
    info = models.model_info(name, variant=variant)
    assert [(0 - m) / s for m, s in zip(info.mean, info.std, strict=True)] == [-1, -1, -1]
    assert [(1 - m) / s for m, s in zip(info.mean, info.std, strict=True)] == [1, 1, 1]
