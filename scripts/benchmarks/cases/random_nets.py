"""Draws networks, image sizes and batches: the choices of `dispatch.py` were not made from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cnnjax import models
from cnnjax.analysis import multiply_adds
from scripts.benchmarks.cases.whole_nets import WholeNet

COST = (2e9, 24e9)
"""Multiply-adds of a batch's forward pass, drawn by logarithm; the batch follows from them."""

BATCHES = tuple(sorted({2**n for n in range(10)} | {3 * 2**n for n in range(8)}))

LEARNING_RATE = 1e-6
"""Five steps of no network magnify rounding at this rate."""


def draw(seed: int, count: int) -> tuple[WholeNet, ...]:
    """Returns networks with batches and image sizes; the same ones for the same seed.

    Each family of `FAMILIES` is drawn once before any is drawn again.

    Args:
        seed: of the draws.
        count: how many networks.
    """
    generator = np.random.default_rng(seed)
    nets: dict[str, WholeNet] = {}
    families: list[str] = []
    while len(nets) < count:
        families = families or list(generator.permutation(list(FAMILIES)))
        name, size, channels = FAMILIES[families.pop()](generator)
        image = (size, size, channels)
        cost = float(np.exp(generator.uniform(*np.log(COST))))
        overrides: dict[str, Any] = {"variant": "torchvision"} if name.startswith("vgg") else {}
        model = models.create_model(name, **overrides)
        batch = _nearest(cost / multiply_adds(model, image))
        label = f"{name}, {size} px, batch {batch}"
        nets[label] = WholeNet(label, name, batch, image, overrides, learning_rate=LEARNING_RATE)
    return tuple(nets.values())


def _nearest(batch: float) -> int:
    """Returns the batch size of `BATCHES` that is nearest by ratio."""
    return min(BATCHES, key=lambda size: abs(np.log(size / batch)))


def _photographs(*names: str) -> Callable[[np.random.Generator], tuple[str, int, int]]:
    def one(generator: np.random.Generator) -> tuple[str, int, int]:
        return str(generator.choice(names)), 32 * int(generator.integers(2, 9)), 3

    return one


def _cifar_resnet(generator: np.random.Generator) -> tuple[str, int, int]:
    return f"resnet{6 * generator.integers(1, 8) + 2}_cifar", 32, 3


def _wide_resnet(generator: np.random.Generator) -> tuple[str, int, int]:
    return f"wrn{6 * generator.integers(1, 5) + 4}_{generator.integers(1, 7)}", 32, 3


def _lenet(generator: np.random.Generator) -> tuple[str, int, int]:
    return "lenet5", 32, 1


FAMILIES: dict[str, Callable[[np.random.Generator], tuple[str, int, int]]] = {
    "basic blocks": _photographs("resnet18", "resnet34"),
    "bottlenecks": _photographs("resnet50", "wide_resnet50_2"),
    "grouped": _photographs("resnext50_32x4d"),
    "depthwise": _photographs("mobilenet_v2"),
    "VGG": _photographs("vgg11", "vgg13", "vgg16"),
    "VGG with batch norm": _photographs("vgg11_bn", "vgg13_bn", "vgg16_bn"),
    "dense blocks": _photographs("densenet121"),
    "fire modules": _photographs("squeezenet1_0", "squeezenet1_1"),
    "CIFAR ResNet": _cifar_resnet,
    "wide ResNet": _wide_resnet,
    "LeNet": _lenet,
}
"""Each draws a registered name, the side of its square images, and their channels."""
