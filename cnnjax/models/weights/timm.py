"""Where timm keeps the layers of those of its networks that compute the same as ours.

Taken from the names and shapes of timm 1.0's state dicts. ResNets, wide ResNets, ResNeXt, DenseNets
and Inception-v3 have torchvision's names. VGG's dense layers are convolutions, as is the classifier
of the pre-activation networks (timm's resnetv2), whose stem has no batch norm. On images of another
size than 224x224 timm's VGG slides its dense layers over the maps and averages. Ours raises an
error or, in torchvision's form, pools the maps first.
"""

from cnnjax.models.densenet import DenseNet
from cnnjax.models.inception_v3 import InceptionV3
from cnnjax.models.mobilenet_v2 import MobileNetV2
from cnnjax.models.preact_resnet import PreActResNet
from cnnjax.models.resnet import ResNet
from cnnjax.models.vgg import VGG
from cnnjax.models.weights import torchvision
from cnnjax.models.weights.layouts import dense_as_conv
from cnnjax.models.weights.tables import Rule, Table

VGG_DENSE = (
    Rule("fc6", "pre_logits.fc1", dense_as_conv(7, 7)),
    Rule("fc7", "pre_logits.fc2", dense_as_conv(1, 1)),
    Rule("classifier", "head.fc"),
)

RESNETV2 = (
    Rule("conv1", "stem.conv"),
    Rule(r"stage(\d)_block(\d+)/shortcut", "stages.{1-1}.blocks.{2-1}.downsample.conv"),
    Rule(r"stage(\d)_block(\d+)/bn(.)", "stages.{1-1}.blocks.{2-1}.norm{3}"),
    Rule(r"stage(\d)_block(\d+)/(conv.)", "stages.{1-1}.blocks.{2-1}.{3}"),
    Rule("final_bn", "norm"),
    Rule("classifier", "head.fc", dense_as_conv(1, 1)),
)


def mobilenet_v2(model: MobileNetV2) -> tuple[Rule, ...]:
    """Returns the rules of all layers.

    Args:
        model: the network, whose rows decide the names.
    """
    rules = [Rule("conv1", "conv_stem"), Rule("bn1", "bn1")]
    for stage, row in enumerate(model.rows, start=1):
        ours, theirs = rf"stage{stage}_block(\d+)", f"blocks.{stage - 1}.{{1-1}}"
        # Blocks that do not widen their input are timm's separable ones, and number from there.
        names = (
            ("", "conv_dw", "conv_pw") if row.expansion == 1 else ("conv_pw", "conv_dw", "conv_pwl")
        )
        less = int(row.expansion == 1)
        for place, layer in enumerate(("expand", "depthwise", "project")):
            rules.append(Rule(f"{ours}/{layer}", f"{theirs}.{names[place]}"))
            rules.append(Rule(f"{ours}/bn{place + 1}", f"{theirs}.bn{place + 1 - less}"))
    return (
        *rules,
        Rule("last_conv", "conv_head"),
        Rule("last_bn", "bn2"),
        Rule("classifier", "classifier"),
    )


TABLES = (
    Table(
        VGG,
        lambda model: (*torchvision.vgg_features(model), *VGG_DENSE),
        {**torchvision.PUBLISHED, "response_norm": False},
        (224, 224, 3),
        "create_model('vgg16')",
    ),
    Table(
        PreActResNet,
        RESNETV2,
        {
            **torchvision.PUBLISHED,
            "norm": "batch",
            "stem": "imagenet",
            "stem_norm": False,
            "stride_in": "3x3",
        },
        (224, 224, 3),
        "create_model('preact_resnet50', variant='timm')",
    ),
    Table(
        MobileNetV2,
        mobilenet_v2,
        torchvision.MOBILENET_V2_FIELDS,
        (224, 224, 3),
        "create_model('mobilenet_v2')",
    ),
    *(table for table in torchvision.TABLES if table.net in (DenseNet, InceptionV3, ResNet)),
)
