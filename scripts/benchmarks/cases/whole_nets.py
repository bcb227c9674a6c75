"""The networks whose whole training steps are timed, with their batches: shapes as data."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class WholeNet:
    """A row of the benchmark.

    Attributes:
        label: what the table calls it.
        model: a name of the registry.
        batch: images a step on CPU.
        image: height, width and channels.
        overrides: fields of the network that differ from its defaults.
        auxiliary: weight of each auxiliary head's loss.
        large_batch: images a step on an accelerator; 0 for as many as on CPU.
        learning_rate: small enough for five steps to magnify no rounding beyond the tolerance.
    """

    label: str
    model: str
    batch: int
    image: tuple[int, int, int]
    overrides: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    auxiliary: Mapping[str, float] = dataclasses.field(default_factory=dict)
    large_batch: int = 0
    learning_rate: float = 1e-4


_IMAGENET = (224, 224, 3)
_CIFAR = (32, 32, 3)
# Torchvision pools to 7x7 before its dense layers, which changes nothing at 224x224.
_TORCHVISION = {"variant": "torchvision"}

NETS = (
    WholeNet("LeNet-5", "lenet5", 128, (32, 32, 1), large_batch=4096),
    WholeNet("AlexNet (grouped, LRN)", "alexnet", 16, (227, 227, 3), large_batch=256),
    WholeNet("VGG-11", "vgg11", 4, _IMAGENET, _TORCHVISION, large_batch=64),
    # Szegedy et al., 2014, section 5: the heads' losses have weight 0.3.
    WholeNet("GoogLeNet", "googlenet", 8, _IMAGENET, {}, {"aux1": 0.3, "aux2": 0.3}, 128),
    WholeNet("ResNet-18", "resnet18", 8, _IMAGENET, large_batch=256),
    WholeNet("ResNet-50", "resnet50", 4, _IMAGENET, large_batch=128, learning_rate=1e-6),
    WholeNet("ResNeXt-50", "resnext50_32x4d", 4, _IMAGENET, large_batch=64, learning_rate=1e-6),
    WholeNet("MobileNet-v2", "mobilenet_v2", 8, _IMAGENET, large_batch=128),
    WholeNet(
        "Inception-v3",
        "inception_v3",
        2,
        (299, 299, 3),
        _TORCHVISION,
        {"aux1": 0.4},
        64,
        learning_rate=1e-7,
    ),
    WholeNet("ResNet-20 (CIFAR)", "resnet20_cifar", 128, _CIFAR, large_batch=1024),
    WholeNet("WRN-16-4", "wrn16_4", 32, _CIFAR, large_batch=512),
    # Drop-path draws other paths in every library.
    WholeNet(
        "FractalNet-20",
        "fractalnet20",
        32,
        _CIFAR,
        {"local_drop_rate": 0.0, "global_fraction": 0.0},
        large_batch=256,
    ),
)
