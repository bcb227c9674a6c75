"""Smaller trained networks: filters and weights removed, convolutions of low rank."""

from cnnjax.compression.channel_groups import ChannelGroup, ChannelGroups, channel_groups
from cnnjax.compression.filters import GroupChange, PrunedNetwork, prune_filters

__all__ = [
    "ChannelGroup",
    "ChannelGroups",
    "GroupChange",
    "PrunedNetwork",
    "channel_groups",
    "prune_filters",
]
