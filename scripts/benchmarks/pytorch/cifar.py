"""CIFAR ResNets, wide ResNets and FractalNet-20 in PyTorch; modules are named as in cnnjax."""

# pyright: reportMissingImports=false

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional

from cnnjax.models.fractalnet import FractalNet


class CifarResNet(nn.Module):
    """The CIFAR ResNet of 6n + 2 layers, whose shortcuts have no parameters (option A)."""

    def __init__(self, blocks: int) -> None:
        """Makes the layers.

        Args:
            blocks: n, the blocks of each of the three stages.
        """
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
        channels = 16
        for stage, filters in enumerate((16, 32, 64), start=1):
            for block in range(1, blocks + 1):
                stride = 2 if block == 1 and stage > 1 else 1
                self.add_module(f"stage{stage}_block{block}", _Basic(channels, filters, stride))
                channels = filters
        self.classifier = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits.

        Args:
            x: images, NCHW in memory of channels_last.
        """
        x = functional.relu(self.bn1(self.conv1(x)))
        for name, module in self.named_children():
            x = module(x) if name.startswith("stage") else x
        return self.classifier(x.mean((2, 3)))


class _Basic(nn.Module):
    """Two 3x3 convolutions and a shortcut without parameters (option A)."""

    def __init__(self, channels: int, filters: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, filters, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(filters, filters, 3, 1, 1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(filters), nn.BatchNorm2d(filters)
        self.stride, self.added = stride, filters - channels

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        if self.added:
            x = functional.pad(x[:, :, :: self.stride, :: self.stride], (0,) * 5 + (self.added,))
        return functional.relu(x + y)


class WideResNet(nn.Module):
    """WRN-(6n + 4)-k without dropout."""

    def __init__(self, blocks: int, widths: tuple[int, ...]) -> None:
        """Makes the layers.

        Args:
            blocks: n, the blocks of each stage.
            widths: channels of each stage: 16, 32 and 64 times k.
        """
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        channels = 16
        for stage, filters in enumerate(widths, start=1):
            for block in range(1, blocks + 1):
                stride = 2 if block == 1 and stage > 1 else 1
                name = f"stage{stage}_block{block}"
                self.add_module(name, _PreActivation(channels, filters, stride))
                channels = filters
        self.final_bn, self.classifier = nn.BatchNorm2d(channels), nn.Linear(channels, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits.

        Args:
            x: images, NCHW in memory of channels_last.
        """
        x = self.conv1(x)
        for name, module in self.named_children():
            x = module(x) if name.startswith("stage") else x
        return self.classifier(functional.relu(self.final_bn(x)).mean((2, 3)))


class _PreActivation(nn.Module):
    def __init__(self, channels: int, filters: int, stride: int) -> None:
        super().__init__()
        self.bn1, self.bn2 = nn.BatchNorm2d(channels), nn.BatchNorm2d(filters)
        self.conv1 = nn.Conv2d(channels, filters, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(filters, filters, 3, 1, 1, bias=False)
        self.shortcut = None
        if channels != filters or stride != 1:
            self.shortcut = nn.Conv2d(channels, filters, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        active = functional.relu(self.bn1(x))
        y = self.conv2(functional.relu(self.bn2(self.conv1(active))))
        return y + (x if self.shortcut is None else self.shortcut(active))


class FractalNet20(nn.Module):
    """FractalNet-20 without drop-path."""

    def __init__(self) -> None:
        """Makes the layers."""
        super().__init__()
        channels = 3
        for block, width in enumerate(FractalNet.widths, start=1):
            for column in range(FractalNet.columns):
                for unit in range(1, 2**column + 1):
                    layers = OrderedDict(
                        conv=nn.Conv2d(
                            channels if unit == 1 else width, width, 3, padding=1, bias=False
                        ),
                        bn=nn.BatchNorm2d(width),
                        relu=nn.ReLU(),
                    )
                    name = f"block{block}_column{column}_unit{unit}"
                    self.add_module(name, nn.Sequential(layers))
            channels = width
        self.classifier = nn.Linear(channels, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits.

        Args:
            x: images, NCHW in memory of channels_last.
        """
        for block in range(1, len(FractalNet.widths) + 1):
            x = functional.max_pool2d(self._fractal(block, FractalNet.columns, x, {}), 2)
        # One pixel is left.
        return self.classifier(x.flatten(1))

    def _fractal(self, block: int, columns: int, x: Tensor, used: dict[int, int]) -> Tensor:
        """Returns f_C(x) = mean(f_{C-1} ∘ f_{C-1}, conv), joins merged (Larsson 2017, eq. 1)."""
        ends = self._columns(block, columns, x, used)
        return torch.stack(ends).mean(0) if len(ends) > 1 else ends[0]

    def _columns(self, block: int, columns: int, x: Tensor, used: dict[int, int]) -> list[Tensor]:
        """Returns the outputs of all columns that meet after a fractal of this many columns."""
        shallow = FractalNet.columns - columns
        used[shallow] = used.get(shallow, 0) + 1
        unit = self.get_submodule(f"block{block}_column{shallow}_unit{used[shallow]}")
        ends = [unit(x)]
        if columns > 1:
            middle = self._fractal(block, columns - 1, x, used)
            ends += self._columns(block, columns - 1, middle, used)
        return ends
