"""The channels of a network that can be removed, in groups of layers that lose them together."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np

from cnnjax import nn
from cnnjax.analysis.calls import check_names
from cnnjax.analysis.cost.summarize import checked_shape
from cnnjax.compression.read_channels import Channels, VariablePath, read_channels

AxisOf = tuple[VariablePath, int]
"""A variable and one of its axes."""


@dataclass(frozen=True, eq=False)
class ChannelGroup:
    """Channels that lie in the same variables; each of them is removed from all of these.

    Attributes:
        name: the first layer that computes them.
        layers: the layers that compute them; several where their outputs are added up.
        size: how many channels there are.
        filters: the axes along which the layers' kernels hold the filters of the channels.
        members: for each axis of each variable that the channels lie along, the places of each
            channel; a dense layer after rows and columns has several places for each.
        reason: why the channels cannot be removed; None where they can.
    """

    name: str
    layers: tuple[str, ...]
    size: int
    filters: tuple[AxisOf, ...]
    members: Mapping[AxisOf, Sequence[np.ndarray]]
    reason: str | None = None


@dataclass(frozen=True, eq=False)
class ChannelGroups:
    """All groups of a network, in the order of computation.

    Attributes:
        groups: the groups.
        fields: for each layer, those of its fields that depend on its number of channels.
    """

    groups: tuple[ChannelGroup, ...]
    fields: Mapping[str, Mapping[str, Any]]

    def __iter__(self) -> Iterator[ChannelGroup]:
        return iter(self.groups)

    def __len__(self) -> int:
        return len(self.groups)

    def __getitem__(self, name: str) -> ChannelGroup:
        names = [group.name for group in self.groups]
        check_names([name], names, "group of channels")
        return self.groups[names.index(name)]

    @property
    def removable(self) -> tuple[ChannelGroup, ...]:
        """The groups whose channels can be removed."""
        return tuple(group for group in self.groups if group.reason is None)


def channel_groups(
    model: linen.Module, input_shape: Sequence[int], *, variables: Any = None
) -> ChannelGroups:
    """Returns which channels of a network can be removed, and what goes with them.

    The traced programs of evaluation and of training are read; nothing is computed. Where the
    outputs of two layers are added up, their channels belong together; a concatenation keeps them
    apart; a normalization, a depthwise convolution and the layers that take a channel lose their
    part of it. Each group of a grouped convolution loses as many channels as the others. Channels
    are kept, with the reason, where an operation needs all of them: the network's output,
    normalizations over neighboring channels, a table of connections, and every operation that
    is not known to keep channels apart.

    Args:
        model: any Flax module that takes one array of images.
        input_shape: height, width and channels of an image, without the batch.
        variables: the model's variables or their shapes; None initializes by shapes.

    Raises:
        TypeError: `model` is no Flax module.
        ValueError: the shape is not three positive integers, or the model refuses it.

    Example:
        >>> from cnnjax import compression, models
        >>> groups = compression.channel_groups(models.create_model("lenet5"), (32, 32, 1))
        >>> [(group.name, group.size, group.reason) for group in groups][-2:]
        [('f6', 84, None), ('classifier', 10, 'the network returns it')]

    Source: Fang et al., 2023 ("DepGraph"), section 3, whose dependencies are those of layers; here
    they are those of primitive operations.
    """
    if not isinstance(model, linen.Module):
        raise TypeError(f"channel_groups: {type(model).__name__} is no flax.linen.Module")
    shape = checked_shape(input_shape, "channel_groups")
    # Two images, so that no channel is taken for the batch.
    images = jax.ShapeDtypeStruct((2, *shape), jnp.float32)
    if variables is None:
        variables = variable_shapes(model, shape)
    channels = read_channels(model, variables, images)
    return ChannelGroups(_groups(channels), channels.layers)


def variable_shapes(model: linen.Module, input_shape: Sequence[int]) -> dict[str, Any]:
    """Returns the shapes of all of a network's variables.

    Args:
        model: any Flax module.
        input_shape: height, width and channels of an image.
    """
    images = jax.ShapeDtypeStruct((1, *input_shape), jnp.float32)
    key = jax.eval_shape(lambda: jax.random.key(0))
    return jax.eval_shape(lambda key, x: nn.init_network(model, key, x), key, images)


def _groups(channels: Channels) -> tuple[ChannelGroup, ...]:
    axes = [(path, d) for path, own in channels.variables.items() for d in range(len(own))]
    numbers = [channels.variables[path][d] for path, d in axes]
    # Variables are numbered one after the other.
    owners = np.repeat(np.arange(len(axes)), [len(axis) for axis in numbers])
    places = np.concatenate([np.arange(len(axis)) for axis in numbers])
    roots = channels.places.roots(np.concatenate(numbers))
    # In the order in which the program multiplies by them.
    filters = dict.fromkeys(
        int(owner)
        for _, outputs in channels.kernels
        for owner in np.unique(owners[outputs[outputs >= 0]])
    )
    order = np.argsort(roots, kind="stable")
    starts = np.flatnonzero(np.diff(roots[order], prepend=-1))
    found: dict[Any, list[dict[int, np.ndarray]]] = {}
    for part in np.split(order, starts[1:]):
        members = {int(o): places[part[owners[part] == o]] for o in np.unique(owners[part])}
        if filters.keys() & members.keys():
            reason = channels.places.reason(int(roots[part[0]]))
            found.setdefault((tuple(members), reason), []).append(members)
    rank = {owner: place for place, owner in enumerate(filters)}
    made = []
    for (signature, reason), each in found.items():
        own = sorted((o for o in signature if o in rank), key=rank.__getitem__)
        # Channels in the order of the first layer's filters.
        each.sort(key=lambda members, first=own[0]: int(members[first][0]))
        layers = tuple(dict.fromkeys("/".join(axes[o][0][1:-1]) for o in own))
        joined = {axes[o]: [members[o] for members in each] for o in signature}
        group = ChannelGroup(
            layers[0], layers, len(each), tuple(axes[o] for o in own), joined, reason
        )
        made.append((rank[own[0]], int(each[0][own[0]][0]), group))
    made.sort(key=lambda entry: entry[:2])
    return _named([group for _, _, group in made])


def _named(groups: Sequence[ChannelGroup]) -> tuple[ChannelGroup, ...]:
    """Returns the groups with each name once."""
    counts: dict[str, int] = {}
    named = []
    for group in groups:
        count = counts[group.name] = counts.get(group.name, 0) + 1
        named.append(group if count == 1 else replace(group, name=f"{group.name}#{count}"))
    return tuple(named)
