"""A network of the benchmark in PyTorch, with the weights that it has in cnnjax.

torchvision's own networks are used where they compute the same; the others are written out in
`classic` and `cifar`, as their papers have them.
"""

# pyright: reportMissingImports=false

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from cnnjax import models
from scripts.benchmarks.pytorch.cifar import WRN164, FractalNet20, ResNet20
from scripts.benchmarks.pytorch.classic import AlexNet, GoogLeNet, LeNet5
from scripts.benchmarks.whole_nets import WholeNet
from scripts.torchvision_import import import_torchvision

TORCHVISION = {
    "vgg11": {},
    "resnet18": {},
    "resnet50": {},
    "resnext50_32x4d": {},
    "mobilenet_v2": {},
    "inception_v3": {"init_weights": False},
}
"""torchvision's networks, with the arguments that they need."""

_WRITTEN_HERE = {
    "lenet5": LeNet5,
    "alexnet": AlexNet,
    "googlenet": GoogLeNet,
    "resnet20_cifar": ResNet20,
    "wrn16_4": WRN164,
    "fractalnet20": FractalNet20,
}


def torch_net(net: WholeNet, model: Any, variables: Mapping[str, Any]) -> nn.Module:
    """Returns the network in PyTorch, in training mode, with dropout off.

    Args:
        net: a network of the benchmark.
        model: the same network in cnnjax.
        variables: its weights, which are copied.
    """
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
    # Running statistics and counts of batches are not copied: training does not read them.
    missing = [name for name in missing if "running" not in name and "batches" not in name]
    if missing or unexpected:
        raise ValueError(f"pytorch.nets: missing {missing}, unexpected {unexpected}")


def _flat(tree: Mapping[str, Any], path: tuple[str, ...] = ()) -> list[tuple[tuple, Any]]:
    leaves = []
    for name, value in tree.items():
        below = (*path, name)
        leaves += _flat(value, below) if isinstance(value, Mapping) else [(below, value)]
    return leaves
