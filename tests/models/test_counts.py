"""Parameters and multiply-adds are the published ones, to the unit."""

import pytest

from cnnjax import models
from cnnjax.analysis.cost.multiply_adds import multiply_adds
from tests.models.published import ROWS, in_published_digits
from tests.models.shapes import registered, size, variables_of

# A thousand layers are traced as one block of each stage, which has the same parameters.
SCANNED = {"resnet1202_cifar", "preact_resnet1001_cifar"}


# Traced for seconds, with no other kinds of layers than densenet121.
SLOW = {f"densenet{depth}" for depth in (161, 169, 201)} | {"densenet100_12_cifar"}


def case(row):
    name = "-".join(str(part) for part in row[:2] if part)
    return pytest.param(*row, id=name, marks=[pytest.mark.slow] if row[0] in SLOW else [])


@pytest.mark.parametrize(
    ("name", "variant", "parameters", "auxiliary", "published"), map(case, ROWS)
)
def test_parameters_and_multiply_adds_are_the_published_ones(
    name, variant, parameters, auxiliary, published
):
    if name in SCANNED:
        model, info = models.create_model(name, scan=True), models.model_info(name)
        variables = variables_of(model, info.input_size)
    else:
        model, info, variables = registered(name, variant)
    heads = {k: v for k, v in variables["params"].items() if k.startswith("aux")}
    assert size(heads) == auxiliary
    assert size(variables["params"]) - size(heads) == parameters
    assert (info.parameters, info.auxiliary_parameters) == (parameters, auxiliary)
    if published is not None:
        count = multiply_adds(model, info.input_size, variables=variables)
        assert in_published_digits(count, published) == published
        assert (info.multiply_adds or "").replace(",", "") == published


def test_every_published_figure_of_the_registry_is_checked():
    checked = {name for name, variant, *_ in ROWS if variant is None}
    stated = {n for n in models.list_models() if models.model_info(n).parameters is not None}
    # The forms of VGG with batch norm that are not published.
    assert stated - checked == {"vgg11_lrn_bn", "vgg16_c_bn"}


@pytest.mark.parametrize(
    ("name", "settings", "parameters"),
    [
        ("resnet20_cifar", {"shortcut": "B"}, 272_474),
        ("resnet32_cifar", {"shortcut": "B"}, 466_906),
        ("resnet44_cifar", {"shortcut": "B"}, 661_338),
        ("resnet56_cifar", {"shortcut": "B"}, 855_770),
        ("resnet110_cifar", {"shortcut": "B"}, 1_730_714),
        ("resnet34", {"shortcut": "A"}, 21_623_848),
        ("fractalnet20", {"pool_before_join": True}, 33_724_618),
        # 33,724,618 with 7 units of 64, 128, 256, 512 and 512 channels in each block that take
        # as many, and 3x64 + 64x128 + 128x256 + 256x512 weights to change them; printed as 38.6 M.
        ("fractalnet20", {"projections": True}, 38_647_114),
    ],
    ids=str,
)
def test_other_forms_have_their_published_parameters(name, settings, parameters):
    model, info = models.create_model(name, **settings), models.model_info(name)
    assert size(variables_of(model, info.input_size)["params"]) == parameters


@pytest.mark.parametrize(
    ("columns", "millions"),
    [(1, "0.258"), (2, "0.848"), (3, "2.125"), (4, "4.779"), (5, "10.185"), (6, "21.095")],
)
def test_ultra_deep_fractalnets_have_the_published_parameters(columns, millions):
    """Larsson et al., 2017, table 3."""
    model = models.create_model(
        "fractalnet20", num_classes=100, columns=columns, widths=(16, 32, 64, 128, 128)
    )
    assert f"{size(variables_of(model, (32, 32, 3))['params']) / 1e6:.3f}" == millions


def test_weights_alone_of_vgg16_and_of_googlenets_modules():
    """The lectures' 138,344,128 weights, and the weights of each Inception module."""
    _, _, vgg = registered("vgg16")
    assert sum(size(layer["kernel"]) for layer in vgg["params"].values()) == 138_344_128
    _, _, googlenet = registered("googlenet")
    weights = {
        name.removeprefix("inception_"): sum(size(u["conv"]["kernel"]) for u in module.values())
        for name, module in googlenet["params"].items()
        if name.startswith("inception_")
    }
    assert weights == {
        "3a": 163_328,
        "3b": 388_096,
        "4a": 375_552,
        "4b": 448_512,
        "4c": 509_440,
        "4d": 604_672,
        "4e": 867_328,
        "5a": 1_042_432,
        "5b": 1_442_816,
    }


def test_layers_of_lenet_and_alexnet():
    """LeCun et al., 1998, section II.B; Krizhevsky et al., 2012, figure 2."""
    layers = {
        ("lenet_1989", None): {"h3": 5_790, "classifier": 310},
        ("lenet5", None): {"c1": 156, "c3": 2_416, "c5": 48_120, "f6": 10_164, "classifier": 850},
        ("lenet5_1998", None): {
            "c1": 156,
            "s2": 12,
            "c3": 1_516,
            "s4": 32,
            "c5": 48_120,
            "f6": 10_164,
        },
        ("alexnet", None): {
            "conv1": 34_944,
            "conv2": 307_456,
            "conv3": 885_120,
            "conv4": 663_936,
            "conv5": 442_624,
            "fc6": 37_752_832,
            "fc7": 16_781_312,
            "classifier": 4_097_000,
        },
        ("alexnet_single_tower", None): {"conv2": 614_656, "conv4": 1_327_488, "conv5": 884_992},
    }
    for (name, variant), expected in layers.items():
        params = registered(name, variant)[2]["params"]
        assert {layer: size(params[layer]) for layer in expected} == expected
    params = registered("lenet_1989")[2]["params"]
    assert size(params["h1"]) + size(params["h1_bias"]) == 1_068
    assert size(params["h2"]) + size(params["h2_bias"]) == 2_592
