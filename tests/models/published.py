"""Published figures: parameters and multiply-adds, as the papers and reference libraries give them.

A row: name, variant, parameters (without auxiliary heads), those of the auxiliary heads, and
multiply-adds with the digits that are published.
"""

ROWS = [
    ("lenet_1989", None, 9_760, 0, None),
    ("lenet5", None, 61_706, 0, "416520"),
    ("lenet5_1998", None, 60_000, 0, None),
    ("alexnet", None, 60_965_224, 0, "724.4 M"),
    ("alexnet", "torchvision", 61_100_840, 0, "714.2 M"),
    ("alexnet_single_tower", None, 62_378_344, 0, "1135.3 M"),
    ("zfnet", None, 62_357_608, 0, "1168.0 M"),
    ("zfnet_512", None, 107_627_624, 0, "2476.7 M"),
    ("vgg11", None, 132_863_336, 0, "7.609 G"),
    ("vgg11_lrn", None, 132_863_336, 0, "7.609 G"),
    ("vgg13", None, 133_047_848, 0, "11.308 G"),
    ("vgg16_c", None, 133_638_952, 0, "11.771 G"),
    ("vgg16", None, 138_357_544, 0, "15.470 G"),
    ("vgg16", "torchvision", 138_357_544, 0, "15.470 G"),
    ("vgg19", None, 143_667_240, 0, "19.632 G"),
    ("vgg11_bn", None, 132_868_840, 0, None),
    ("vgg13_bn", None, 133_053_736, 0, None),
    ("vgg16_bn", None, 138_365_992, 0, None),
    ("vgg19_bn", None, 143_678_248, 0, None),
    ("googlenet", None, 6_998_552, 6_379_728, "1.583 G"),
    ("googlenet", "torchvision", 6_624_904, 6_379_984, "1.498 G"),
    ("inception_v3", None, 23_834_568, 3_326_696, "5.713 G"),
    ("resnet18", None, 11_689_512, 0, "1.814 G"),
    ("resnet34", None, 21_797_672, 0, "3.664 G"),
    ("resnet50", None, 25_557_032, 0, "4.089 G"),
    ("resnet50", "paper", 25_557_032, 0, "3.858 G"),
    ("resnet101", None, 44_549_160, 0, "7.801 G"),
    ("resnet101", "paper", 44_549_160, 0, "7.570 G"),
    ("resnet152", None, 60_192_808, 0, "11.514 G"),
    ("resnet152", "paper", 60_192_808, 0, "11.282 G"),
    ("wide_resnet50_2", None, 68_883_240, 0, "11.398 G"),
    ("wide_resnet101_2", None, 126_886_696, 0, "22.753 G"),
    ("resnext50_32x4d", None, 25_028_904, 0, "4.230 G"),
    ("plain18", None, 11_515_688, 0, "1.795 G"),
    ("plain34", None, 21_623_848, 0, "3.644 G"),
    ("preact_resnet200", None, 64_666_280, 0, "15.007 G"),
    ("preact_resnet200", "timm", 64_666_152, 0, "15.007 G"),
    ("preact_resnet200", "paper", 64_666_280, 0, "14.78 G"),
    ("resnet20_cifar", None, 269_722, 0, "40.55 M"),
    ("resnet32_cifar", None, 464_154, 0, "68.86 M"),
    ("resnet44_cifar", None, 658_586, 0, "97.17 M"),
    ("resnet56_cifar", None, 853_018, 0, "125.49 M"),
    ("resnet110_cifar", None, 1_727_962, 0, "252.89 M"),
    ("resnet1202_cifar", None, 19_421_274, 0, "2829.24 M"),
    ("plain20_cifar", None, 269_722, 0, "40.55 M"),
    ("plain32_cifar", None, 464_154, 0, "68.86 M"),
    ("plain44_cifar", None, 658_586, 0, "97.17 M"),
    ("plain56_cifar", None, 853_018, 0, "125.49 M"),
    ("plain110_cifar", None, 1_727_962, 0, "252.89 M"),
    ("preact_resnet110_cifar", None, 1_730_522, 0, "253.15 M"),
    ("preact_resnet164_cifar", None, 1_703_258, 0, "244.50 M"),
    ("preact_resnet1001_cifar", None, 10_327_706, 0, "1487.85 M"),
    ("wrn40_1", None, 563_930, 0, None),
    ("wrn40_2", None, 2_243_546, 0, None),
    ("wrn16_4", None, 2_748_890, 0, "392.61 M"),
    ("wrn40_4", None, 8_949_210, 0, None),
    ("wrn16_8", None, 10_961_370, 0, None),
    ("wrn22_8", None, 17_158_106, 0, None),
    ("wrn28_10", None, 36_479_194, 0, "5243.33 M"),
    ("fractalnet20", None, 33_724_618, 0, None),
]


def in_published_digits(count: int, published: str) -> str:
    """Writes a count with the digits and the unit of a published figure, rounded half up."""
    number, _, unit = published.partition(" ")
    decimals = len(number.partition(".")[2])
    scale = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}[unit]
    return f"{count / scale:.{decimals}f}" + (f" {unit}" if unit else "")
