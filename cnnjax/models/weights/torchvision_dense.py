"""Where torchvision keeps the layers of its segmentation networks.

Taken from the names and shapes of torchvision 0.29's state dicts.
"""

import dataclasses

from cnnjax.models.dense.dilated_fcn import DilatedFCN
from cnnjax.models.weights.tables import Rule, Table
from cnnjax.models.weights.torchvision import PUBLISHED, RESNET, RESNET_FIELDS


def _in_backbone(rule: Rule) -> Rule:
    """Returns a rule of ResNet for the encoder of a segmentation network."""
    return dataclasses.replace(
        rule, pattern=f"encoder/{rule.pattern}", name=f"backbone.{rule.name}"
    )


FCN_RESNET = (
    *(_in_backbone(rule) for rule in RESNET if rule.pattern != "classifier"),
    # Between these layers are the activation and dropout.
    Rule("head/conv", "classifier.0"),
    Rule("head/bn", "classifier.1"),
    Rule("head/classifier", "classifier.4"),
    Rule("aux1/conv", "aux_classifier.0"),
    Rule("aux1/bn", "aux_classifier.1"),
    Rule("aux1/classifier", "aux_classifier.4"),
)

TABLES = (
    Table(
        DilatedFCN,
        FCN_RESNET,
        {**PUBLISHED, "norm": "batch", "output_stride": 8},
        (520, 520, 3),
        "create_model('fcn_resnet50')",
        heads=("aux_classifier.",),
        parts={"encoder": RESNET_FIELDS},
    ),
)
