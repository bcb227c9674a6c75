"""Flax Linen modules: thin shells over `cnnjax.ops`."""

from cnnjax.nn.activations import ACTIVATIONS, Activation, find_activation
from cnnjax.nn.adaptive_pool import AdaptiveAvgPool
from cnnjax.nn.batch_axis import batch_over
from cnnjax.nn.batch_statistics import batch_statistics, current_statistics, frozen_norms
from cnnjax.nn.calling import apply_network, init_network, mode_arguments
from cnnjax.nn.changed_layers import IDENTITY, Changes, change_layers, layer_changes
from cnnjax.nn.contrast_norm import LocalContrastNorm
from cnnjax.nn.conv import Conv
from cnnjax.nn.conv_transpose import ConvTranspose, bilinear_init
from cnnjax.nn.dense import Dense
from cnnjax.nn.drop_path import DropPath, rates_by_depth
from cnnjax.nn.group_norm import GroupNorm
from cnnjax.nn.layer_errors import naming_layer
from cnnjax.nn.locally_connected import LocallyConnected
from cnnjax.nn.low_rank_conv import LowRankConv
from cnnjax.nn.norm import BatchNorm, LocalResponseNorm
from cnnjax.nn.pool import AvgPool, MaxPool, MaxPoolWithSwitches, SumPool, Switches
from cnnjax.nn.separable_conv import DepthwiseConv, SeparableConv
from cnnjax.nn.sparse_conv import SparseConv
from cnnjax.nn.upsample import MaxUnpool, Upsample

__all__ = [
    "ACTIVATIONS",
    "IDENTITY",
    "Activation",
    "AdaptiveAvgPool",
    "AvgPool",
    "BatchNorm",
    "Changes",
    "Conv",
    "ConvTranspose",
    "Dense",
    "DepthwiseConv",
    "DropPath",
    "GroupNorm",
    "LocalContrastNorm",
    "LocalResponseNorm",
    "LocallyConnected",
    "LowRankConv",
    "MaxPool",
    "MaxPoolWithSwitches",
    "MaxUnpool",
    "SeparableConv",
    "SparseConv",
    "SumPool",
    "Switches",
    "Upsample",
    "apply_network",
    "batch_over",
    "batch_statistics",
    "bilinear_init",
    "change_layers",
    "current_statistics",
    "find_activation",
    "frozen_norms",
    "init_network",
    "layer_changes",
    "mode_arguments",
    "naming_layer",
    "rates_by_depth",
]
