"""Parameters and multiply-adds are the reference figures, and printed figures are stated."""

import pytest

from cnnjax import models
from cnnjax.analysis.cost.multiply_adds import multiply_adds
from tests.models.published import (
    AUXILIARY_G,
    PARAMETERS_IN_PAPERS,
    ROWS,
    TORCHVISION,
    in_published_digits,
)
from tests.models.shapes import counted, registered, scans, size, variables_of

# Traced for seconds, with no other kinds of layers than densenet121.
SLOW = {f"densenet{depth}" for depth in (161, 169, 201)} | {"densenet100_12_cifar"}


def case(row):
    name = "-".join(str(part) for part in row[:2] if part)
    return pytest.param(*row, id=name, marks=[pytest.mark.slow] if row[0] in SLOW else [])


@pytest.mark.parametrize(
    ("name", "variant", "parameters", "auxiliary", "published"), [case(row) for row in ROWS]
)
def test_parameters_and_multiply_adds_are_the_reference_figures(
    name, variant, parameters, auxiliary, published
):
    check_counts(*counted(name, variant), parameters, auxiliary, published)


THOUSANDS = ("resnet1202_cifar", "preact_resnet1001_cifar")
"""Networks of a thousand layers, which are counted only as one block of each stage."""

UNROLLED = [row for row in ROWS if scans(row[0]) and row[0] not in THOUSANDS]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "variant", "parameters", "auxiliary", "published"), [case(row) for row in UNROLLED]
)
def test_deeper_networks_have_them_block_by_block(name, variant, parameters, auxiliary, published):
    check_counts(*registered(name, variant), parameters, auxiliary, published)


def check_counts(model, info, variables, parameters, auxiliary, published):
    heads = {k: v for k, v in variables["params"].items() if k.startswith("aux")}
    assert size(heads) == auxiliary
    assert size(variables["params"]) - size(heads) == parameters
    assert (info.parameters, info.auxiliary_parameters) == (parameters, auxiliary)
    if published is not None:
        count = multiply_adds(model, info.input_size, variables=variables)
        assert in_published_digits(count, published) == published
        assert (info.multiply_adds or "").replace(",", "") == published


@pytest.mark.parametrize(("name", "variant"), TORCHVISION, ids=lambda part: part or "default")
def test_torchvisions_figures_are_stated_as_it_prints_them(name, variant):
    parameters, products = TORCHVISION[name, variant]
    info = models.model_info(name, variant)
    printed = info.published
    assert printed is not None and printed.source == "torchvision 0.28"
    assert (printed.parameters, printed.multiply_adds) == (f"{parameters:,}", f"{products} G")
    assert info.parameters is not None and info.multiply_adds is not None
    assert info.parameters + info.auxiliary_parameters * printed.heads == parameters
    # The reference is rounded to as many digits, or to a digit less in millions.
    number, _, unit = info.multiply_adds.partition(" ")
    reference = float(number) * {"G": 1, "M": 1e-3}[unit] + AUXILIARY_G.get(name, 0)
    assert abs(reference - float(products)) < 5.1e-4


@pytest.mark.parametrize(
    ("name", "variant"), PARAMETERS_IN_PAPERS, ids=lambda part: part or "default"
)
def test_papers_figures_are_stated_as_printed_and_differ_only_where_known(name, variant):
    printed, counted = PARAMETERS_IN_PAPERS[name, variant]
    info = models.model_info(name, variant)
    assert info.published is not None and info.published.parameters == printed
    assert info.parameters is not None
    digits = in_published_digits(info.parameters, printed.replace(",", ""))
    assert digits == (counted or printed.replace(",", ""))


def test_every_printed_figure_is_checked():
    stated = {
        (name, variant)
        for name in (*models.list_models(), *THOUSANDS)
        for variant in (None, *models.list_variants(name))
        if (printed := models.model_info(name, variant).published) and printed.parameters
    }
    checked = TORCHVISION.keys() | PARAMETERS_IN_PAPERS.keys()
    # A variant may be the network itself, under torchvision's name.
    assert {(name, v) for name, v in stated if v != "torchvision"} <= checked
    assert checked <= stated


def test_the_papers_multiply_adds_of_residual_networks_are_stated():
    """He et al., 2015, table 1; the counts are 3.858, 7.570 and 11.282 G."""
    for depth, printed in ((50, "3.8 G"), (101, "7.6 G"), (152, "11.3 G")):
        info = models.model_info(f"resnet{depth}", "paper")
        assert info.published is not None and info.published.multiply_adds == printed
        assert info.published.parameters is None
    for depth, printed in ((18, "1.8 G"), (34, "3.6 G")):
        info = models.model_info(f"plain{depth}")
        assert info.published is not None and info.published.multiply_adds == printed


def test_every_reference_figure_of_the_registry_is_checked():
    checked = {name for name, variant, *_ in ROWS if variant is None}
    stated = {n for n in models.list_models() if models.model_info(n).parameters is not None}
    # The forms of VGG with batch norm that nobody publishes.
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
def test_other_forms_have_their_reference_parameters(name, settings, parameters):
    assert size(counted(name, **settings)[2]["params"]) == parameters


@pytest.mark.parametrize(
    ("columns", "millions"),
    [
        *((1, "0.258"), (2, "0.848"), (3, "2.125"), (4, "4.779")),
        *(pytest.param(*row, marks=pytest.mark.slow) for row in ((5, "10.185"), (6, "21.095"))),
    ],
)
def test_ultra_deep_fractalnets_have_the_reference_parameters(columns, millions):
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
