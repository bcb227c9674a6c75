"""Where timm keeps the layers of VGG, Inception-v3, the ResNets and the pre-activation ResNets.

Taken from the names and shapes of timm 1.0's state dicts. ResNets, wide ResNets, ResNeXt and
Inception-v3 have torchvision's names. VGG's dense layers are convolutions, as is the classifier
of the pre-activation networks (timm's resnetv2), whose stem has no batch norm. On images of another
size than 224x224 timm's VGG slides its dense layers over the maps and averages. Ours raises an
error or, in torchvision's form, pools the maps first.
"""

from cnnjax.models.inception_v3 import InceptionV3
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

TABLES = (
    Table(
        VGG,
        lambda model: (*torchvision.vgg_features(model), *VGG_DENSE),
        {"response_norm": False},
        (224, 224, 3),
        "create_model('vgg16')",
    ),
    Table(
        PreActResNet,
        RESNETV2,
        {"stem": "imagenet", "stem_norm": False, "stride_in": "3x3"},
        (224, 224, 3),
        "create_model('preact_resnet50', variant='timm')",
    ),
    *(table for table in torchvision.TABLES if table.net in (InceptionV3, ResNet)),
)
