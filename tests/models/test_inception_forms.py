"""GoogLeNet of naive modules, and Inception-v3 with two 3x3 in the place of 5x5."""

import jax
import pytest

from cnnjax import models
from cnnjax.analysis.cost.multiply_adds import multiply_adds
from cnnjax.models.googlenet import COLUMNS, GoogLeNet
from tests.models.shapes import registered, size, variables_of

NAIVE_WIDTHS = {"3a": 416, "3b": 832, "4a": 1280, "4b": 1728, "4c": 2176, "4d": 2640}
NAIVE_WIDTHS |= {"4e": 3344, "5a": 4048, "5b": 4944}


def naive_googlenet():
    """The outputs' widths, parameters and multiply-adds by hand, from the paper's columns."""
    width, widths = 192, {}
    # The stem: 7x7, 1x1 and 3x3, with biases.
    parameters = 64 * (7 * 7 * 3 + 1) + 64 * (64 + 1) + 192 * (9 * 64 + 1)
    products = 112**2 * 64 * 49 * 3 + 56**2 * (64 * 64 + 192 * 9 * 64)
    for name, (one, _, three, _, five, _) in COLUMNS.items():
        taps = width * (one + 9 * three + 25 * five)
        parameters += taps + one + three + five
        products += {"3": 28, "4": 14, "5": 7}[name[0]] ** 2 * taps
        # The pool keeps all channels of the input.
        width += one + three + five
        widths[name] = width
    return widths, parameters + 1000 * (width + 1), products + 1000 * width


def test_naive_modules_grow_from_module_to_module():
    model, info, variables = registered("googlenet", "naive")
    assert model.module == "naive"
    widths, parameters, products = naive_googlenet()
    assert isinstance(model, GoogLeNet)
    found = models.feature_info(model, info.input_size)
    assert {f.name: f.channels for f in found if f.name in COLUMNS} == widths == NAIVE_WIDTHS
    heads = {k: v for k, v in variables["params"].items() if k.startswith("aux")}
    assert size(variables["params"]) - size(heads) == parameters == info.parameters
    assert multiply_adds(model, info.input_size, variables=variables) == products
    assert info.multiply_adds == f"{products / 1e9:.3f} G"


def test_a_naive_module_is_three_convolutions_and_a_pool_of_its_input():
    model = models.create_model("googlenet", module="naive", aux_heads=False)
    module = variables_of(model, (32, 32, 3))["params"]["inception_3a"]
    shapes = {name: unit["conv"]["kernel"].shape for name, unit in module.items()}
    assert shapes == {
        "conv1x1": (1, 1, 192, 64),
        "conv3x3": (3, 3, 192, 128),
        "conv5x5": (5, 5, 192, 32),
    }


def test_two_3x3_cost_less_than_one_5x5():
    _, default, _ = registered("inception_v3")
    model, info, variables = registered("inception_v3", "two_3x3")
    assert model.five == "two_3x3"
    # In each of three modules 48 x 64 of 5x5 become 48 x 64 and 64 x 64 of 3x3, with a batch norm.
    saved = 25 * 48 * 64 - 9 * (48 * 64 + 64 * 64)
    assert default.parameters is not None
    assert info.parameters == default.parameters - 3 * (saved - 2 * 64)
    heads = size(variables["params"]["aux1"])
    assert heads == info.auxiliary_parameters == default.auxiliary_parameters
    assert size(variables["params"]) - heads == info.parameters
    count = multiply_adds(model, info.input_size, variables=variables)
    assert count == 5_713_216_096 - 3 * 35**2 * saved
    assert info.multiply_adds == f"{count / 1e9:.3f} G"


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_forms_have_other_layers_only_where_they_differ(name):
    variant = {"googlenet": "naive", "inception_v3": "two_3x3"}[name]
    trees = [registered(name, v)[2]["params"] for v in (None, variant)]
    names = [
        {
            "/".join(str(k.key) for k in path[:-1])
            for path, _ in jax.tree_util.tree_leaves_with_path(t)
        }
        for t in trees
    ]
    changed = names[0] ^ names[1]
    if name == "googlenet":
        assert {path.split("/")[1] for path in changed} == {"reduce3x3", "reduce5x5", "project"}
    else:
        assert {path.split("/")[1] for path in changed} == {"branch2_3"}
        assert {path.split("/")[0] for path in changed} == {"mixed_5b", "mixed_5c", "mixed_5d"}
