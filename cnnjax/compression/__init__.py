"""Smaller trained networks: filters and weights removed, convolutions of low rank."""

from cnnjax.compression.channel_groups import ChannelGroup, ChannelGroups, channel_groups
from cnnjax.compression.decomposition import DecomposedNetwork, LowRankLayer, decompose
from cnnjax.compression.filters import GroupChange, PrunedNetwork, prune_filters
from cnnjax.compression.low_rank_kernel import LowRankKernel, low_rank_kernel
from cnnjax.compression.masked_training import (
    Gradual,
    MaskedState,
    gradually_masked,
    gradually_pruned_run,
    masked,
    masked_run,
)
from cnnjax.compression.pruned_start import PrunedStart
from cnnjax.compression.sensitivity import Sensitivity, pruning_sensitivity
from cnnjax.compression.tickets import Ticket, find_ticket
from cnnjax.compression.weight_masks import (
    Masks,
    apply_masks,
    nonzero,
    sparsity_of,
    weight_masks,
    zero_masks,
)
from cnnjax.compression.written import Smaller, check_output, make_smaller, write_smaller

__all__ = [
    "ChannelGroup",
    "ChannelGroups",
    "DecomposedNetwork",
    "Gradual",
    "GroupChange",
    "LowRankKernel",
    "LowRankLayer",
    "MaskedState",
    "Masks",
    "PrunedNetwork",
    "PrunedStart",
    "Sensitivity",
    "Smaller",
    "Ticket",
    "apply_masks",
    "channel_groups",
    "check_output",
    "decompose",
    "find_ticket",
    "gradually_masked",
    "gradually_pruned_run",
    "low_rank_kernel",
    "make_smaller",
    "masked",
    "masked_run",
    "nonzero",
    "prune_filters",
    "pruning_sensitivity",
    "sparsity_of",
    "weight_masks",
    "write_smaller",
    "zero_masks",
]
