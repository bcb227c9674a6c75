"""LeNet-5, AlexNet and GoogLeNet in PyTorch, with modules named as cnnjax names its layers."""

# pyright: reportMissingImports=false

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from cnnjax.models.googlenet import COLUMNS


class LeNet5(nn.Module):
    """LeNet-5 with rectifiers and max pooling."""

    def __init__(self) -> None:
        """Makes the layers."""
        super().__init__()
        self.c1, self.c3 = nn.Conv2d(1, 6, 5), nn.Conv2d(6, 16, 5)
        self.c5, self.f6 = nn.Linear(400, 120), nn.Linear(120, 84)
        self.classifier = nn.Linear(84, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits.

        Args:
            x: images, NCHW in memory of channels_last.
        """
        x = functional.max_pool2d(functional.relu(self.c1(x)), 2)
        x = functional.max_pool2d(functional.relu(self.c3(x)), 2)
        x = functional.relu(self.c5(_flatten(x)))
        return self.classifier(functional.relu(self.f6(x)))


class AlexNet(nn.Module):
    """AlexNet with two groups and local response normalization."""

    def __init__(self) -> None:
        """Makes the layers."""
        super().__init__()
        self.conv1 = nn.Conv2d(3, 96, 11, 4)
        self.conv2 = nn.Conv2d(96, 256, 5, padding=2, groups=2)
        self.conv3 = nn.Conv2d(256, 384, 3, padding=1)
        self.conv4 = nn.Conv2d(384, 384, 3, padding=1, groups=2)
        self.conv5 = nn.Conv2d(384, 256, 3, padding=1, groups=2)
        self.fc6, self.fc7 = nn.Linear(9216, 4096), nn.Linear(4096, 4096)
        self.classifier = nn.Linear(4096, 1000)

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits.

        Args:
            x: images, NCHW in memory of channels_last.
        """
        x = functional.max_pool2d(_respond(functional.relu(self.conv1(x))), 3, 2)
        x = functional.max_pool2d(_respond(functional.relu(self.conv2(x))), 3, 2)
        x = functional.relu(self.conv4(functional.relu(self.conv3(x))))
        x = functional.max_pool2d(functional.relu(self.conv5(x)), 3, 2)
        x = functional.relu(self.fc6(_flatten(x)))
        return self.classifier(functional.relu(self.fc7(x)))


class GoogLeNet(nn.Module):
    """GoogLeNet as published: 5x5, local response normalization, two auxiliary heads."""

    def __init__(self) -> None:
        """Makes the layers."""
        super().__init__()
        self.conv1, self.conv2_reduce = _Unit(3, 64, 7, 2), _Unit(64, 64, 1)
        self.conv2 = _Unit(64, 192, 3)
        channels = 192
        for name, columns in COLUMNS.items():
            self.add_module(f"inception_{name}", _Inception(channels, columns))
            channels = columns[0] + columns[2] + columns[4] + columns[5]
            if name in ("4a", "4d"):
                self.add_module("aux1" if name == "4a" else "aux2", _Auxiliary(channels))
        self.classifier = nn.Linear(channels, 1000)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns the logits and those of the two heads.

        Args:
            x: images, NCHW in memory of channels_last.
        """
        heads = []
        x = _respond(functional.max_pool2d(self.conv1(x), 3, 2, ceil_mode=True))
        x = _respond(self.conv2(self.conv2_reduce(x)))
        x = functional.max_pool2d(x, 3, 2, ceil_mode=True)
        for name in COLUMNS:
            x = self.get_submodule(f"inception_{name}")(x)
            if name in ("3b", "4e"):
                x = functional.max_pool2d(x, 3, 2, ceil_mode=True)
            elif name in ("4a", "4d"):
                heads.append(self.get_submodule("aux1" if name == "4a" else "aux2")(x))
        return (self.classifier(x.mean((2, 3))), *heads)


class _Unit(nn.Module):
    """A convolution with bias and its rectifier."""

    def __init__(self, channels: int, filters: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, filters, kernel, stride, kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.conv(x))


class _Inception(nn.Module):
    def __init__(self, channels: int, columns: tuple[int, ...]) -> None:
        super().__init__()
        one, reduce3, three, reduce5, five, project = columns
        self.conv1x1 = _Unit(channels, one, 1)
        self.reduce3x3, self.conv3x3 = _Unit(channels, reduce3, 1), _Unit(reduce3, three, 3)
        self.reduce5x5, self.conv5x5 = _Unit(channels, reduce5, 1), _Unit(reduce5, five, 5)
        self.project = _Unit(channels, project, 1)

    def forward(self, x: Tensor) -> Tensor:
        branches = [
            self.conv1x1(x),
            self.conv3x3(self.reduce3x3(x)),
            self.conv5x5(self.reduce5x5(x)),
            self.project(functional.max_pool2d(x, 3, 1, 1)),
        ]
        return torch.cat(branches, 1)


class _Auxiliary(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = _Unit(channels, 128, 1)
        self.fc1, self.classifier = nn.Linear(2048, 1024), nn.Linear(1024, 1000)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(functional.avg_pool2d(x, 5, 3))
        return self.classifier(functional.relu(self.fc1(_flatten(x))))


def _respond(x: Tensor) -> Tensor:
    # PyTorch divides alpha by the size.
    return functional.local_response_norm(x, 5, alpha=5e-4, beta=0.75, k=2.0)


def _flatten(x: Tensor) -> Tensor:
    """Each image's values in the order height, width, channels: a view of channels_last."""
    return x.permute(0, 2, 3, 1).flatten(1)
