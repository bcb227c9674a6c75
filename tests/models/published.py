"""Reference figures, counted from the definitions, and figures that papers and torchvision print.

A row of `ROWS`: name, variant, parameters (without auxiliary heads), those of the auxiliary heads,
and multiply-adds, rounded.
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
    ("densenet121", None, 7_978_856, 0, "2.834 G"),
    ("densenet161", None, 28_681_000, 0, "7.728 G"),
    ("densenet169", None, 14_149_480, 0, "3.360 G"),
    ("densenet201", None, 20_013_928, 0, "4.291 G"),
    ("densenet40_12_cifar", None, 1_019_722, 0, "264.81 M"),
    ("densenet100_12_cifar", None, 6_979_642, 0, "1769.52 M"),
    ("densenet_bc100_12_cifar", None, 769_162, 0, "287.93 M"),
    ("mobilenet_v2", None, 3_504_872, 0, "0.301 G"),
    ("mobilenet_v2_035", None, 1_677_128, 0, "0.059 G"),
    ("mobilenet_v2_050", None, 1_968_680, 0, "0.097 G"),
    ("mobilenet_v2_075", None, 2_636_424, 0, "0.209 G"),
    ("mobilenet_v2_140", None, 6_108_776, 0, "0.582 G"),
    ("squeezenet1_0", None, 1_248_424, 0, "0.819 G"),
    ("squeezenet1_1", None, 1_235_496, 0, "0.349 G"),
    ("fcn32s", None, 134_346_581, 0, "110.802 G"),
    ("fcn16s", None, 134_364_410, 0, "110.815 G"),
    ("fcn8s", None, 134_376_863, 0, "110.844 G"),
    ("fcn_resnet50", None, 32_957_013, 2_365_205, "142.726 G"),
    ("segnet", None, 29_449_355, 0, "106.288 G"),
    ("unet", None, 31_030_658, 0, "192.384 G"),
    ("naive_dense", None, 46_730, 0, "190.53 M"),
]


# `num_params` and `_ops` (10^9 multiply-adds) in the source of torchvision 0.28.
TORCHVISION = {
    ("alexnet", "torchvision"): (61_100_840, "0.714"),
    ("vgg11", None): (132_863_336, "7.609"),
    ("vgg11_bn", None): (132_868_840, "7.609"),
    ("vgg13", None): (133_047_848, "11.308"),
    ("vgg13_bn", None): (133_053_736, "11.308"),
    ("vgg16", None): (138_357_544, "15.47"),
    ("vgg16_bn", None): (138_365_992, "15.47"),
    ("vgg19", None): (143_667_240, "19.632"),
    ("vgg19_bn", None): (143_678_248, "19.632"),
    ("googlenet", "torchvision"): (6_624_904, "1.498"),
    # With the auxiliary head.
    ("inception_v3", None): (27_161_264, "5.713"),
    ("resnet18", None): (11_689_512, "1.814"),
    ("resnet34", None): (21_797_672, "3.664"),
    ("resnet50", None): (25_557_032, "4.089"),
    ("resnet101", None): (44_549_160, "7.801"),
    ("resnet152", None): (60_192_808, "11.514"),
    ("resnext50_32x4d", None): (25_028_904, "4.23"),
    ("wide_resnet50_2", None): (68_883_240, "11.398"),
    ("wide_resnet101_2", None): (126_886_696, "22.753"),
    ("densenet121", None): (7_978_856, "2.834"),
    ("densenet161", None): (28_681_000, "7.728"),
    ("densenet169", None): (14_149_480, "3.36"),
    ("densenet201", None): (20_013_928, "4.291"),
    ("mobilenet_v2", None): (3_504_872, "0.301"),
    ("squeezenet1_0", None): (1_248_424, "0.819"),
    ("squeezenet1_1", None): (1_235_496, "0.349"),
    # With the auxiliary head.
    ("fcn_resnet50", None): (35_322_218, "152.717"),
}

# The auxiliary head's, where the printed multiply-adds count it: on 65x65 units, a 3x3 convolution
# to a quarter of 1,024 channels and a 1x1 convolution to 21 classes.
AUXILIARY_G = {"fcn_resnet50": 65 * 65 * (9 * 1024 * 256 + 256 * 21) / 1e9}

# What papers print, and what a reference figure is in the printed digits where it differs.
PARAMETERS_IN_PAPERS = {
    ("lenet_1989", None): ("9,760", None),
    ("lenet5_1998", None): ("60,000", None),
    ("alexnet", None): ("60 M", "61 M"),
    ("vgg11_lrn", None): ("133 M", None),
    ("vgg16_c", None): ("134 M", None),
    ("fcn32s", None): ("134 M", None),
    ("fractalnet20", None): ("38.6 M", "33.7 M"),
    ("fractalnet20", "projections"): ("38.6 M", None),
    **{
        (f"{kind}{depth}_cifar", None): (printed, None)
        for kind in ("resnet", "plain")
        for depth, printed in zip(
            (20, 32, 44, 56, 110), ("0.27 M", "0.46 M", "0.66 M", "0.85 M", "1.7 M"), strict=True
        )
    },
    ("resnet1202_cifar", None): ("19.4 M", None),
    ("preact_resnet164_cifar", None): ("1.7 M", None),
    ("preact_resnet1001_cifar", None): ("10.2 M", "10.3 M"),
    ("wrn40_1", None): ("0.6 M", None),
    ("wrn40_2", None): ("2.2 M", None),
    ("wrn40_4", None): ("8.9 M", None),
    ("wrn16_8", None): ("11.0 M", None),
    ("wrn22_8", None): ("17.2 M", None),
    ("wrn28_10", None): ("36.5 M", None),
    ("densenet40_12_cifar", None): ("1.0 M", None),
    ("densenet100_12_cifar", None): ("7.0 M", None),
    ("densenet_bc100_12_cifar", None): ("0.8 M", None),
    ("mobilenet_v2_140", None): ("6.9 M", "6.1 M"),
}


def in_published_digits(count: int, published: str) -> str:
    """Writes a count with the digits and the unit of a published figure, rounded half up."""
    number, _, unit = published.partition(" ")
    decimals = len(number.partition(".")[2])
    scale = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}[unit]
    return f"{count / scale:.{decimals}f}" + (f" {unit}" if unit else "")
