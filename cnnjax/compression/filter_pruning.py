"""A network whose channels can be removed: what stays, what it costs, and what does not work."""

import collections
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
from flax import errors

from cnnjax import nn
from cnnjax.analysis.cost.multiply_adds import multiply_adds
from cnnjax.compression.channel_groups import (
    ChannelGroup,
    ChannelGroups,
    channel_groups,
    variable_shapes,
)
from cnnjax.compression.choose_channels import By, channel_orders, ratios_of
from cnnjax.compression.paths import flat_paths
from cnnjax.compression.shrink import Kept, kept_places, shrunk_model, shrunk_variables

_FAILURES = (ValueError, TypeError, KeyError, errors.FlaxError)


@dataclass(frozen=True, eq=False)
class FilterPruning:
    """A network and the order in which it loses its channels.

    Groups whose channels the network's own code cannot do without are among those that stay whole.

    Attributes:
        model: the parent.
        variables: its variables.
        input_shape: of an image.
        groups: its groups.
        orders: the channels of each group, the first to be removed first.
    """

    model: linen.Module
    variables: Any
    input_shape: tuple[int, ...]
    groups: ChannelGroups
    orders: dict[str, np.ndarray]

    @classmethod
    def of(
        cls, model: linen.Module, variables: Any, input_shape: tuple[int, ...], by: By, seed: int
    ) -> "FilterPruning":
        """Returns the pruning of a network.

        Args:
            model: any Flax module.
            variables: its variables.
            input_shape: of an image.
            by: see `prune_filters`.
            seed: of random channels.

        Raises:
            ValueError: no channel of the network can be removed; the message gives the reasons.
        """
        groups = channel_groups(model, input_shape, variables=variables)
        orders = channel_orders(variables, groups, by, seed)
        pruning = cls(model, variables, input_shape, groups, orders)
        # All at once; only where that fails are they tried one by one.
        if pruning.problem({name: order[:1] for name, order in orders.items() if len(order) > 1}):
            checked = tuple(pruning._checked(group) for group in groups)
            pruning = replace(pruning, groups=replace(groups, groups=checked))
        if not pruning.groups.removable:
            reasons = "\n  ".join(f"{group.name}: {group.reason}" for group in pruning.groups)
            raise ValueError(
                f"{type(model).__name__} has no channels that can be removed:\n  "
                f"{reasons or 'it has no convolutions or dense layers'}"
            )
        return pruning

    def _checked(self, group: ChannelGroup) -> ChannelGroup:
        """Returns a group with the reason why the network's code needs all of its channels."""
        if group.reason is not None or group.size == 1:
            return group
        problem = self.problem({group.name: self.orders[group.name][:1]})
        return replace(group, reason=problem or None)

    def problem(self, removed: dict[str, np.ndarray]) -> str:
        """Returns why the network does not work without some channels; "" if it does.

        Args:
            removed: the channels that are removed, by group.
        """
        try:
            shapes = self._shrunk_shapes(removed)
            model = self.shrunk(removed)
            made = variable_shapes(model, self.input_shape)
            if wrong := _difference(shapes, made):
                return f"the network's code makes other layers with fewer channels: {wrong}"
            if self._outputs(model, shapes) != self._outputs_before:
                return "the network's code returns another shape with fewer channels"
        except _FAILURES as error:
            first = str(error).strip().splitlines()[:1] or [type(error).__name__]
            return f"the network's code fails with fewer channels: {first[0]}"
        return ""

    @cached_property
    def _outputs_before(self) -> Any:
        return self._outputs(self.model, self.variables)

    def _outputs(self, model: linen.Module, variables: Any) -> Any:
        images = jax.ShapeDtypeStruct((2, *self.input_shape), jnp.float32)
        outputs = jax.eval_shape(
            lambda v, x: nn.apply_network(model, v, x, train=False), variables, images
        )
        return jax.tree.map(lambda leaf: leaf.shape, outputs)

    def kept(self, removed: dict[str, np.ndarray]) -> Kept:
        """Returns which places stay along each axis of the variables.

        Args:
            removed: the channels that are removed, by group.
        """
        return kept_places(self.groups, removed, self.variables)

    def shrunk(self, removed: dict[str, np.ndarray]) -> linen.Module:
        """Returns the network without some channels.

        Args:
            removed: the channels that are removed, by group.
        """
        return shrunk_model(self.model, self.groups, self.variables, self.kept(removed))

    def _shrunk_shapes(self, removed: dict[str, np.ndarray]) -> Any:
        shapes = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), dict(self.variables)
        )
        return shrunk_variables(shapes, self.kept(removed))

    def channels_that_save(self, target: float, keep: Sequence[str]) -> dict[str, np.ndarray]:
        """Returns the fewest channels that save a share of the multiply-adds, by group.

        All groups lose the same share of their channels, up to the rounding: channel k of n goes
        before channel l of m of another group if k / n is less than l / m.

        Args:
            target: the share to save.
            keep: patterns of groups that stay whole.

        Raises:
            ValueError: so many cannot be saved, or a pattern matches no group.
        """
        whole = {name for name, share in ratios_of(self.groups, 0.5, keep).items() if share == 0}
        turns = sorted(
            ((number + 1) / group.size, place, group.name)
            for place, group in enumerate(self.groups.removable)
            if group.name not in whole
            for number in range(group.size - 1)
        )
        before = self.count(self.model, self.variables)

        def removed(count: int) -> dict[str, np.ndarray]:
            counts = collections.Counter(name for _, _, name in turns[:count])
            return {name: np.sort(self.orders[name][:n]) for name, n in counts.items()}

        def saved(count: int) -> float:
            lost = removed(count)
            return 1 - self.count(self.shrunk(lost), self._shrunk_shapes(lost)) / before

        if (most := saved(len(turns))) < target:
            raise ValueError(
                f"multiply_adds: {target:g} of them cannot be saved; with one channel left in each "
                f"group that can be pruned, {most:.3g} are"
            )
        low, high = 0, len(turns)
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if saved(middle) >= target else (middle + 1, high)
        return removed(low)

    def count(self, model: linen.Module, variables: Any) -> int:
        """Returns the multiply-adds for one image.

        Args:
            model: the network, or one without some channels.
            variables: its variables, or their shapes.
        """
        return multiply_adds(model, self.input_shape, variables=variables)


def _difference(needed: Any, made: Mapping[str, Any]) -> str:
    """Returns the first variable whose shape differs; "" if none does."""
    shapes = [
        {"/".join(path[1:]): leaf.shape for path, leaf in flat_paths(tree).items()}
        for tree in (dict(needed), dict(made))
    ]
    for name in (*shapes[0], *shapes[1]):
        first, second = (each.get(name, "absent") for each in shapes)
        if first != second:
            return f"{name} is {second}, not {first}"
    return ""
