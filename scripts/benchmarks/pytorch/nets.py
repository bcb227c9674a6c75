"""A network of the benchmark in PyTorch, with the weights that it has in cnnjax.

torchvision's own networks are used where they compute the same; the others are written out in
`classic` and `cifar`, as their papers have them.
"""

# pyright: reportMissingImports=false

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from cnnjax import models
from scripts.benchmarks.cases.whole_nets import WholeNet
from scripts.benchmarks.pytorch.cifar import CifarResNet, FractalNet20, WideResNet
from scripts.benchmarks.pytorch.classic import AlexNet, GoogLeNet, LeNet5
from scripts.torchvision_import import import_torchvision

TORCHVISION_ARGUMENTS = {"inception_v3": {"init_weights": False}}
"""What torchvision's networks need besides `weights`."""

_WRITTEN_HERE = {
    "lenet5": LeNet5,
    "alexnet": AlexNet,
    "googlenet": GoogLeNet,
    "fractalnet20": FractalNet20,
}


def torch_net(net: WholeNet, model: Any, variables: Mapping[str, Any]) -> nn.Module:
    """Returns the network in PyTorch, in training mode, with dropout off.

    Args:
        net: a network of the benchmark.
        model: the same network in cnnjax.
        variables: its weights, which are copied.
    """
    network = _written_here(net.model, model)
    if network is None:
        torchvision = import_torchvision()
        arguments = TORCHVISION_ARGUMENTS.get(net.model, {})
        network = getattr(torchvision.models, net.model)(weights=None, **arguments)
        with tempfile.TemporaryDirectory() as folder:
            from safetensors.torch import load_file

            path = Path(folder) / "weights.safetensors"
            models.export_torchvision(model, variables, path)
            network.load_state_dict(load_file(path))
    else:
        _copy_weights(network, variables)
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.1
    return network.to(memory_format=torch.channels_last).train()


def _written_here(name: str, model: Any) -> nn.Module | None:
    """Returns the network that is written out beside this file, or None for torchvision's own."""
    if name in _WRITTEN_HERE:
        return _WRITTEN_HERE[name]()
    if re.fullmatch(r"resnet\d+_cifar", name):
        return CifarResNet(model.blocks[0])
    if re.fullmatch(r"wrn\d+_\d+", name):
        return WideResNet(model.blocks[0], model.widths)
    return None


def _copy_weights(network: nn.Module, variables: Mapping[str, Any]) -> None:
    """Copies weights and statistics by name: HWIO kernels to OIHW, dense ones transposed."""
    names = {"kernel": "weight", "scale": "weight", "mean": "running_mean", "var": "running_var"}
    state = {}
    for collection in ("params", "batch_stats"):
        for (*layer, name), value in _flat(variables.get(collection, {})):
            array = np.asarray(value)
            if name == "kernel":
                array = array.transpose(3, 2, 0, 1) if array.ndim == 4 else array.T
            state[".".join((*layer, names.get(name, name)))] = torch.tensor(array)
    missing, unexpected = network.load_state_dict(state, strict=False)
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise ValueError(f"pytorch.nets: missing {missing}, unexpected {unexpected}")


def _flat(tree: Mapping[str, Any], path: tuple[str, ...] = ()) -> list[tuple[tuple, Any]]:
    leaves = []
    for name, value in tree.items():
        below = (*path, name)
        leaves += _flat(value, below) if isinstance(value, Mapping) else [(below, value)]
    return leaves
