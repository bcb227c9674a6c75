"""The benchmark's networks in PyTorch, with module names that follow ours, and our weights in them.

torchvision's own networks serve where they compute the same; the others are written here as their
papers have them, for channels_last tensors.
"""

# pyright: reportMissingImports=false

from __future__ import annotations

import tempfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from cnnjax import models
from cnnjax.models.fractalnet import FractalNet
from cnnjax.models.googlenet import COLUMNS
from scripts.benchmarks.whole_nets import WholeNet
from scripts.torchvision_import import import_torchvision

TORCHVISION = {
    "vgg11": {},
    "resnet18": {},
    "resnet50": {},
    "resnext50_32x4d": {},
    "inception_v3": {"init_weights": False},
}


def torch_net(net: WholeNet, model: Any, variables: Mapping[str, Any]) -> nn.Module:
    """Returns the network in PyTorch, in training mode, dropout off, with these weights."""
    if net.model in TORCHVISION:
        torchvision = import_torchvision()
        network = getattr(torchvision.models, net.model)(weights=None, **TORCHVISION[net.model])
        with tempfile.TemporaryDirectory() as folder:
            from safetensors.torch import load_file

            path = Path(folder) / "weights.safetensors"
            models.export_torchvision(model, variables, path)
            network.load_state_dict(load_file(path))
    else:
        network = _WRITTEN_HERE[net.model]()
        _copy_weights(network, variables)
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.1
    return network.to(memory_format=torch.channels_last).train()


def _copy_weights(network: nn.Module, variables: Mapping[str, Any]) -> None:
    """Copies parameters by name: HWIO kernels to OIHW, dense ones transposed."""
    state = {}
    for path, value in _flat(variables["params"]):
        array = np.asarray(value)
        name = ".".join(path[:-1])
        if path[-1] == "kernel":
            array = array.transpose(3, 2, 0, 1) if array.ndim == 4 else array.T
        state[f"{name}.{'bias' if path[-1] == 'bias' else 'weight'}"] = torch.tensor(array)
    missing, unexpected = network.load_state_dict(state, strict=False)
    missing = [name for name in missing if "running" not in name and "batches" not in name]
    if missing or unexpected:
        raise ValueError(f"torch_nets: missing {missing}, unexpected {unexpected}")


def _flat(tree: Mapping[str, Any], path: tuple[str, ...] = ()) -> list[tuple[tuple, Any]]:
    leaves = []
    for name, value in tree.items():
        below = (*path, name)
        leaves += _flat(value, below) if isinstance(value, Mapping) else [(below, value)]
    return leaves


def _flatten(x: Tensor) -> Tensor:
    """Each image's values in the order height, width, channels: a view of channels_last."""
    return x.permute(0, 2, 3, 1).flatten(1)


class LeNet5(nn.Module):
    """LeNet-5 with rectifiers and max pooling."""

    def __init__(self) -> None:
        """Makes the layers."""
        super().__init__()
        self.c1, self.c3 = nn.Conv2d(1, 6, 5), nn.Conv2d(6, 16, 5)
        self.c5, self.f6 = nn.Linear(400, 120), nn.Linear(120, 84)
        self.classifier = nn.Linear(84, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits."""
        x = functional.max_pool2d(functional.relu(self.c1(x)), 2)
        x = functional.max_pool2d(functional.relu(self.c3(x)), 2)
        x = functional.relu(self.c5(_flatten(x)))
        return self.classifier(functional.relu(self.f6(x)))


def _respond(x: Tensor) -> Tensor:
    # PyTorch divides alpha by the size.
    return functional.local_response_norm(x, 5, alpha=5e-4, beta=0.75, k=2.0)


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
        """Returns logits."""
        x = functional.max_pool2d(_respond(functional.relu(self.conv1(x))), 3, 2)
        x = functional.max_pool2d(_respond(functional.relu(self.conv2(x))), 3, 2)
        x = functional.relu(self.conv4(functional.relu(self.conv3(x))))
        x = functional.max_pool2d(functional.relu(self.conv5(x)), 3, 2)
        x = functional.relu(self.fc6(_flatten(x)))
        return self.classifier(functional.relu(self.fc7(x)))


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
        """Returns the logits and those of the two heads."""
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


class ResNet20(nn.Module):
    """The CIFAR ResNet of 20 layers."""

    def __init__(self) -> None:
        """Makes the layers."""
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
        channels = 16
        for stage, filters in enumerate((16, 32, 64), start=1):
            for block in range(1, 4):
                stride = 2 if block == 1 and stage > 1 else 1
                self.add_module(f"stage{stage}_block{block}", _Basic(channels, filters, stride))
                channels = filters
        self.classifier = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits."""
        x = functional.relu(self.bn1(self.conv1(x)))
        for name, module in self.named_children():
            x = module(x) if name.startswith("stage") else x
        return self.classifier(x.mean((2, 3)))


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


class WRN164(nn.Module):
    """WRN-16-4."""

    def __init__(self) -> None:
        """Makes the layers."""
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        channels = 16
        for stage, filters in enumerate((64, 128, 256), start=1):
            for block in range(1, 3):
                stride = 2 if block == 1 and stage > 1 else 1
                name = f"stage{stage}_block{block}"
                self.add_module(name, _PreActivation(channels, filters, stride))
                channels = filters
        self.final_bn, self.classifier = nn.BatchNorm2d(256), nn.Linear(256, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits."""
        x = self.conv1(x)
        for name, module in self.named_children():
            x = module(x) if name.startswith("stage") else x
        return self.classifier(functional.relu(self.final_bn(x)).mean((2, 3)))


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
        """Returns logits."""
        for block in range(1, len(FractalNet.widths) + 1):
            x = functional.max_pool2d(self.fractal(block, FractalNet.columns, x, {}), 2)
        return self.classifier(_flatten(x))

    def fractal(self, block: int, columns: int, x: Tensor, used: dict[int, int]) -> Tensor:
        """f_C(x) = mean(f_{C-1} ∘ f_{C-1}, conv), joins merged (Larsson et al., 2017, eq. 1)."""
        ends = self.columns(block, columns, x, used)
        return torch.stack(ends).mean(0) if len(ends) > 1 else ends[0]

    def columns(self, block: int, columns: int, x: Tensor, used: dict[int, int]) -> list[Tensor]:
        """Returns the ends of all columns that meet after a fractal of this many."""
        shallow = FractalNet.columns - columns
        used[shallow] = used.get(shallow, 0) + 1
        unit = self.get_submodule(f"block{block}_column{shallow}_unit{used[shallow]}")
        ends = [unit(x)]
        if columns > 1:
            middle = self.fractal(block, columns - 1, x, used)
            ends += self.columns(block, columns - 1, middle, used)
        return ends


_WRITTEN_HERE = {
    "lenet5": LeNet5,
    "alexnet": AlexNet,
    "googlenet": GoogLeNet,
    "resnet20_cifar": ResNet20,
    "wrn16_4": WRN164,
    "fractalnet20": FractalNet20,
}
