"""The parts of networks in the order of computation."""

import pytest

from cnnjax import models
from cnnjax.recipes.layer_order import layer_groups, patterns_from

RESNET = [
    ["conv1", "bn1"],
    ["stage1_block1"],
    ["stage2_block1"],
    ["stage3_block1"],
    ["classifier"],
]


def test_parts_are_in_the_order_in_which_images_pass_them():
    assert layer_groups(models.create_model("resnet8_cifar"), (16, 16, 1)) == RESNET


@pytest.mark.parametrize(
    ("first", "names"),
    [
        ("conv1", ["conv1", "bn1", "stage1_block1", "stage2_block1", "stage3_block1"]),
        ("stage2_block1", ["stage2_block1", "stage3_block1"]),
        ("stage3", ["stage3_block1"]),
        ("classifier", []),
    ],
)
def test_patterns_are_of_a_part_and_all_after_it(first, names):
    expected = [f"{name}(/.*)?" for name in [*names, "classifier"]]
    assert list(patterns_from(RESNET, first)) == expected


def test_a_stage_is_not_one_whose_number_starts_alike():
    groups = [["stage10_block1"], ["stage1_block1"]]
    assert patterns_from(groups, "stage1") == ("stage1_block1(/.*)?",)


@pytest.mark.parametrize(
    ("first", "message"),
    [
        ("stage3_blok1", "no layer of the network; did you mean stage3_block1"),
        ("xyz", "there are conv1, bn1, stage1_block1"),
        ("stage", "no layer"),
    ],
)
def test_an_unknown_part_is_refused(first, message):
    with pytest.raises(ValueError, match=message):
        patterns_from(RESNET, first)
