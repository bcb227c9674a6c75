"""Flax Linen modules: thin shells over `cnnjax.ops`."""

from cnnjax.nn.activations import ACTIVATIONS, Activation, find_activation
from cnnjax.nn.adaptive_pool import AdaptiveAvgPool
from cnnjax.nn.batch_axis import batch_over
from cnnjax.nn.batch_statistics import batch_statistics, current_statistics, frozen_norms
from cnnjax.nn.calling import apply_network, init_network, mode_arguments
from cnnjax.nn.conv import Conv
from cnnjax.nn.dense import Dense
from cnnjax.nn.group_norm import GroupNorm
from cnnjax.nn.layer_errors import naming_layer
from cnnjax.nn.norm import BatchNorm, LocalResponseNorm
from cnnjax.nn.pool import AvgPool, MaxPool
from cnnjax.nn.sparse_conv import SparseConv

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "AdaptiveAvgPool",
    "AvgPool",
    "BatchNorm",
    "Conv",
    "Dense",
    "GroupNorm",
    "LocalResponseNorm",
    "MaxPool",
    "SparseConv",
    "apply_network",
    "batch_over",
    "batch_statistics",
    "current_statistics",
    "find_activation",
    "frozen_norms",
    "init_network",
    "mode_arguments",
    "naming_layer",
]
