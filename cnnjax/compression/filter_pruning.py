"""A network whose channels can be removed: what stays, what it costs, and what does not work."""

from collections.abc import Mapping
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
from cnnjax.compression.choose_channels import By, channel_orders
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

    def saved(self, removed: dict[str, np.ndarray]) -> float:
        """Returns the share of the multiply-adds that the network saves without some channels.

        Args:
            removed: the channels that are removed, by group.
        """
        return 1 - self.count(self.shrunk(removed), self._shrunk_shapes(removed)) / self._whole

    @cached_property
    def _whole(self) -> int:
        return self.count(self.model, self.variables)

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
