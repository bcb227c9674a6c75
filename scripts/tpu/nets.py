"""The networks whose steps are compiled for TPU: one of each family, with images of a chip."""

from __future__ import annotations

from scripts.benchmarks.cases.whole_nets import NETS as TIMED
from scripts.benchmarks.cases.whole_nets import WholeNet

_IMAGENET = (224, 224, 3)

NETS: dict[str, WholeNet] = {
    net.model: net
    for net in (
        *TIMED,
        WholeNet("DenseNet-121", "densenet121", 0, _IMAGENET),
        WholeNet("SqueezeNet 1.1", "squeezenet1_1", 0, _IMAGENET),
        WholeNet("Pre-activation ResNet-50", "preact_resnet50", 0, _IMAGENET),
    )
}
"""By registered name."""

IMAGES = {224: 32, 227: 32, 299: 32, 32: 256}
"""Images of a chip, by their height."""
