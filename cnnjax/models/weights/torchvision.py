"""Where torchvision keeps the layers of its classification networks.

Taken from the names and shapes of torchvision 0.28's state dicts. Its published weights of
GoogLeNet and Inception-v3 are for images of mean 0.5 and standard deviation 0.5 (pixels from 0 to
1): its networks themselves convert them from ImageNet's statistics (`transform_input`). Its files
of DenseNets still have dots within the names of layers ("norm.1"), which PyTorch no longer allows.
"""

from cnnjax.models.alexnet import ONE_TOWER_2014, AlexNet
from cnnjax.models.densenet import DenseNet
from cnnjax.models.googlenet import GoogLeNet
from cnnjax.models.inception_v3 import InceptionV3
from cnnjax.models.mobilenet_v2 import MobileNetV2
from cnnjax.models.resnet import ResNet
from cnnjax.models.squeezenet import SqueezeNet
from cnnjax.models.vgg import VGG
from cnnjax.models.weights.layouts import flattened
from cnnjax.models.weights.tables import Rule, Table

PUBLISHED = {"activation": "relu", "padding_mode": "zeros"}
"""The choices of a `ChoiceNet` with which weights of other libraries were trained."""

ALEXNET = (
    Rule("conv1", "features.0"),
    Rule("conv2", "features.3"),
    Rule("conv3", "features.6"),
    Rule("conv4", "features.8"),
    Rule("conv5", "features.10"),
    Rule("fc6", "classifier.1", flattened(6, 6)),
    Rule("fc7", "classifier.4"),
    Rule("classifier", "classifier.6"),
)


def vgg_features(model: VGG) -> tuple[Rule, ...]:
    """Returns the rules of the convolutions and batch norms.

    Args:
        model: the network, whose blocks decide the numbers.
    """
    # torchvision names a layer by its number in a sequence that counts every layer.
    rules, number = [], 0
    for b, kernels in enumerate(model.blocks, start=1):
        for c in range(1, len(kernels) + 1):
            rules.append(Rule(f"conv{b}_{c}", f"features.{number}"))
            if model.norm == "batch":
                number += 1
                rules.append(Rule(f"bn{b}_{c}", f"features.{number}"))
            # The rectifier is a layer of its own, and what follows it is the next one.
            number += 2
        # The pool.
        number += 1
    return tuple(rules)


VGG_DENSE = (
    Rule("fc6", "classifier.0", flattened(7, 7)),
    Rule("fc7", "classifier.3"),
    Rule("classifier", "classifier.6"),
)

GOOGLENET = (
    Rule("conv1/(conv|bn)", "conv1.{1}"),
    Rule("conv2_reduce/(conv|bn)", "conv2.{1}"),
    Rule("conv2/(conv|bn)", "conv3.{1}"),
    Rule("inception_(..)/conv1x1/(conv|bn)", "inception{1}.branch1.{2}"),
    Rule("inception_(..)/reduce3x3/(conv|bn)", "inception{1}.branch2.0.{2}"),
    Rule("inception_(..)/conv3x3/(conv|bn)", "inception{1}.branch2.1.{2}"),
    Rule("inception_(..)/reduce5x5/(conv|bn)", "inception{1}.branch3.0.{2}"),
    Rule("inception_(..)/conv5x5/(conv|bn)", "inception{1}.branch3.1.{2}"),
    # branch4.0 is the pool.
    Rule("inception_(..)/project/(conv|bn)", "inception{1}.branch4.1.{2}"),
    Rule("aux([12])/conv/(conv|bn)", "aux{1}.conv.{2}"),
    Rule("aux([12])/fc1", "aux{1}.fc1", flattened(4, 4)),
    Rule("aux([12])/classifier", "aux{1}.fc2"),
    Rule("classifier", "fc"),
)

INCEPTION_V3 = (
    Rule("conv(1a|2a|2b|4a)/(conv|bn)", "Conv2d_{1}_3x3.{2}"),
    Rule("conv3b/(conv|bn)", "Conv2d_3b_1x1.{1}"),
    # 35x35
    Rule("mixed_(5.)/branch2_(.)/(conv|bn)", "Mixed_{1}.branch5x5_{2}.{3}"),
    Rule("mixed_(5.)/branch3_(.)/(conv|bn)", "Mixed_{1}.branch3x3dbl_{2}.{3}"),
    # 35x35 to 17x17
    Rule("mixed_6a/branch1_1/(conv|bn)", "Mixed_6a.branch3x3.{1}"),
    Rule("mixed_6a/branch2_(.)/(conv|bn)", "Mixed_6a.branch3x3dbl_{1}.{2}"),
    # 17x17
    Rule("mixed_(6.)/branch2_(.)/(conv|bn)", "Mixed_{1}.branch7x7_{2}.{3}"),
    Rule("mixed_(6.)/branch3_(.)/(conv|bn)", "Mixed_{1}.branch7x7dbl_{2}.{3}"),
    # 17x17 to 8x8
    Rule("mixed_7a/branch1_(.)/(conv|bn)", "Mixed_7a.branch3x3_{1}.{2}"),
    Rule("mixed_7a/branch2_(.)/(conv|bn)", "Mixed_7a.branch7x7x3_{1}.{2}"),
    # 8x8
    Rule("mixed_(7.)/branch2_(..?)/(conv|bn)", "Mixed_{1}.branch3x3_{2}.{3}"),
    Rule("mixed_(7.)/branch3_(..?)/(conv|bn)", "Mixed_{1}.branch3x3dbl_{2}.{3}"),
    # every module without stride
    Rule("mixed_(..)/branch1_1/(conv|bn)", "Mixed_{1}.branch1x1.{2}"),
    Rule("mixed_(..)/branch4_2/(conv|bn)", "Mixed_{1}.branch_pool.{2}"),
    Rule("aux1/conv(.)/(conv|bn)", "AuxLogits.conv{1-1}.{2}"),
    Rule("aux1/classifier", "AuxLogits.fc"),
    Rule("classifier", "fc"),
)

RESNET = (
    Rule("(conv1|bn1)", "{1}"),
    Rule(r"stage(\d)_block(\d+)/Shortcut_0/conv", "layer{1}.{2-1}.downsample.0"),
    Rule(r"stage(\d)_block(\d+)/Shortcut_0/bn", "layer{1}.{2-1}.downsample.1"),
    Rule(r"stage(\d)_block(\d+)/(conv.|bn.)", "layer{1}.{2-1}.{3}"),
    Rule("classifier", "fc"),
)

DENSENET = (
    Rule("conv1", "features.conv0"),
    Rule("bn1", "features.norm0"),
    Rule(r"block(\d+)_layer(\d+)/conv(.)", "features.denseblock{1}.denselayer{2}.conv{3}"),
    Rule(r"block(\d+)_layer(\d+)/bn(.)", "features.denseblock{1}.denselayer{2}.norm{3}"),
    Rule(r"transition(\d+)/conv", "features.transition{1}.conv"),
    Rule(r"transition(\d+)/bn", "features.transition{1}.norm"),
    # Its name whatever the number of blocks.
    Rule("final_bn", "features.norm5"),
    Rule("classifier", "classifier"),
)


def mobilenet_v2(model: MobileNetV2) -> tuple[Rule, ...]:
    """Returns the rules of all layers.

    Args:
        model: the network, whose rows decide the numbers.
    """
    rules, number = [Rule("conv1", "features.0.0"), Rule("bn1", "features.0.1")], 0
    for stage, row in enumerate(model.rows, start=1):
        for block in range(1, row.blocks + 1):
            number += 1
            ours, theirs = f"stage{stage}_block{block}", f"features.{number}.conv"
            # Blocks that do not widen their input lack the first convolution.
            first = 0 if row.expansion == 1 else 1
            rules += [
                Rule(f"{ours}/expand", f"{theirs}.0.0"),
                Rule(f"{ours}/bn1", f"{theirs}.0.1"),
                Rule(f"{ours}/depthwise", f"{theirs}.{first}.0"),
                Rule(f"{ours}/bn2", f"{theirs}.{first}.1"),
                Rule(f"{ours}/project", f"{theirs}.{first + 1}"),
                Rule(f"{ours}/bn3", f"{theirs}.{first + 2}"),
            ]
    last = f"features.{number + 1}"
    return (
        *rules,
        Rule("last_conv", f"{last}.0"),
        Rule("last_bn", f"{last}.1"),
        Rule("classifier", "classifier.1"),
    )


def squeezenet(model: SqueezeNet) -> tuple[Rule, ...]:
    """Returns the rules of all layers.

    Args:
        model: the network, whose groups of fire modules decide the numbers.
    """
    # The first convolution and its rectifier are layers 0 and 1, a pool is a layer too.
    rules, number, fire = [Rule("conv1", "features.0")], 1, 1
    for group in model.fires:
        number += 1
        for _ in group:
            number, fire = number + 1, fire + 1
            layers = "(squeeze|expand1x1|expand3x3)"
            rules.append(Rule(f"fire{fire}/{layers}", f"features.{number}.{{1}}"))
    return (*rules, Rule("classifier", "classifier.1"))


MOBILENET_V2_FIELDS = {**PUBLISHED, "norm": "batch", "activation": "relu6"}
_BATCH_NORM = {**PUBLISHED, "norm": "batch"}

RESNET_FIELDS = {**_BATCH_NORM, "stem": "imagenet", "shortcut": "B", "stride_in": "3x3"}

TABLES = (
    Table(
        AlexNet,
        ALEXNET,
        {"rows": ONE_TOWER_2014, "groups": 1, "pool_ceil": False},
        (224, 224, 3),
        "create_model('alexnet', variant='torchvision')",
    ),
    Table(
        VGG,
        lambda model: (*vgg_features(model), *VGG_DENSE),
        {**PUBLISHED, "response_norm": False},
        (224, 224, 3),
        "create_model('vgg16', variant='torchvision')",
    ),
    Table(
        GoogLeNet,
        GOOGLENET,
        {
            **PUBLISHED,
            "norm": "batch",
            "module": "bottleneck",
            "response_norm": False,
            "five": 3,
            "last_pool": 2,
            "adaptive_heads": True,
        },
        (224, 224, 3),
        "create_model('googlenet', variant='torchvision')",
        heads=("aux1.", "aux2."),
    ),
    Table(
        InceptionV3,
        INCEPTION_V3,
        {"five": "5x5"},
        (299, 299, 3),
        "create_model('inception_v3')",
        heads=("AuxLogits.",),
    ),
    Table(
        ResNet,
        RESNET,
        RESNET_FIELDS,
        (224, 224, 3),
        "create_model('resnet50', variant='torchvision')",
    ),
    Table(
        DenseNet,
        DENSENET,
        {**_BATCH_NORM, "stem": "imagenet", "bottleneck": True},
        (224, 224, 3),
        "create_model('densenet121')",
        older=((r"(denselayer\d+\.(?:norm|conv))\.(\d)", r"\1\2"),),
    ),
    Table(
        MobileNetV2,
        mobilenet_v2,
        MOBILENET_V2_FIELDS,
        (224, 224, 3),
        "create_model('mobilenet_v2')",
    ),
    Table(
        SqueezeNet,
        squeezenet,
        {**PUBLISHED, "norm": "none", "bypass": False},
        (224, 224, 3),
        "create_model('squeezenet1_1')",
    ),
)
