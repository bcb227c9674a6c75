"""The named feature maps of a backbone, with the pixels of the image between their units."""

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

from cnnjax.models.densenet import DenseNet
from cnnjax.models.mobilenet_v2 import MobileNetV2
from cnnjax.models.net import Net
from cnnjax.models.preact_resnet import PreActResNet
from cnnjax.models.resnet import ResNet
from cnnjax.models.simple_cnn import SimpleCNN
from cnnjax.models.vgg import VGG


@dataclasses.dataclass(frozen=True)
class Level:
    """A named feature map of a backbone.

    Attributes:
        name: key of the feature in `apply_with_features`.
        stride: pixels of the image from one unit to the next.
        pooled: whether a max pool made this stride, so that its switches can be remembered.
    """

    name: str
    stride: int
    pooled: bool = False


def levels_of(net: Net) -> tuple[Level, ...]:
    """Returns the feature maps of a backbone, from first to last.

    Args:
        net: a network of the zoo.

    Raises:
        ValueError: the network has no such maps, or its filters change their size; the message
            names the networks that work.

    Example:
        >>> from cnnjax import models
        >>> net = models.create_model("resnet20_cifar")
        >>> [(level.name, level.stride) for level in models.levels_of(net)]
        [('stem', 1), ('stage1', 1), ('stage2', 2), ('stage3', 4)]
    """
    for family, find in _FAMILIES.items():
        if isinstance(net, family):
            return find(net)
    raise ValueError(
        f"encoder: {type(net).__name__} is no encoder; use a network of {_families()}, such as "
        "'resnet18'"
    )


def _families() -> str:
    return ", ".join(family.__name__ for family in _FAMILIES)


def _stem_and_stages(stem: str, stage: str, count: int) -> list[Level]:
    """Returns the levels of a stem of ImageNet or CIFAR and of stages that halve but the first."""
    # ImageNet's stem halves by its strides, and then by its max pool.
    first = 4 if stem == "imagenet" else 1
    levels = [Level("stem", 2 if stem == "imagenet" else 1)]
    for number in range(count):
        pooled = stem == "imagenet" and number == 0
        levels.append(Level(f"{stage}{number + 1}", first * 2**number, pooled))
    return levels


def _resnet(net: ResNet) -> tuple[Level, ...]:
    levels = _stem_and_stages(net.stem, "stage", len(net.blocks))
    strides = [levels[0].stride, *(step.output for step in net.stage_strides)]
    # Stages that dilate keep the stride of the one before.
    return tuple(dataclasses.replace(e, stride=s) for e, s in zip(levels, strides, strict=True))


def _with_final(net: PreActResNet | DenseNet, stage: str) -> tuple[Level, ...]:
    """Returns the levels of a network that normalizes its last sums or concatenations once more."""
    levels = _stem_and_stages(net.stem, stage, len(net.blocks))
    return (*levels, Level("final", levels[-1].stride))


def _preact(net: PreActResNet) -> tuple[Level, ...]:
    return _with_final(net, "stage")


def _densenet(net: DenseNet) -> tuple[Level, ...]:
    return _with_final(net, "block")


def _vgg(net: VGG) -> tuple[Level, ...]:
    return tuple(Level(f"block{n}", 2**n, True) for n in range(1, len(net.blocks) + 1))


def _simple_cnn(net: SimpleCNN) -> tuple[Level, ...]:
    step = 1 if net.pooling == "none" else net.pool_strides or net.pool_size
    if net.padding != "SAME" or (net.pooling != "none" and step != net.pool_size):
        raise ValueError(
            "encoder: SimpleCNN needs padding='SAME', and pool_strides=None or as large as "
            f"pool_size, so that each stage divides the size; got padding={net.padding!r}, "
            f"pool_size={net.pool_size!r} and pool_strides={net.pool_strides!r}"
        )
    if net.filters == "local":
        raise ValueError(
            "encoder: SimpleCNN with filters='local' has weights for one size of images; use "
            "'shared', 'separable' or 'asymmetric'"
        )
    pooled = net.pooling == "max" and step > 1
    return tuple(Level(f"stage{n}", step**n, pooled) for n in range(1, len(net.widths) + 1))


def _mobilenet_v2(net: MobileNetV2) -> tuple[Level, ...]:
    # The 1x1 convolution after the last stage belongs to the classifier.
    strides = itertools.accumulate((row.strides for row in net.rows), lambda a, b: a * b, initial=2)
    names = ("stem", *(f"stage{n}" for n in range(1, len(net.rows) + 1)))
    return tuple(Level(name, stride) for name, stride in zip(names, strides, strict=True))


_FAMILIES: dict[type[Net], Callable[[Any], tuple[Level, ...]]] = {
    ResNet: _resnet,
    PreActResNet: _preact,
    VGG: _vgg,
    SimpleCNN: _simple_cnn,
    MobileNetV2: _mobilenet_v2,
    DenseNet: _densenet,
}
