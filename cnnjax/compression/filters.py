"""Filter pruning: whole channels are removed, and a network's arrays become smaller."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import flax.linen as linen
import jax
import numpy as np

from cnnjax.compression.choose_channels import (
    By,
    Ratio,
    check_multiple,
    check_ratio,
    chosen_channels,
    ratios_of,
)
from cnnjax.compression.filter_pruning import FilterPruning
from cnnjax.compression.savings import channels_that_save
from cnnjax.compression.shrink import masked_variables, shrunk_variables


@dataclass(frozen=True)
class GroupChange:
    """What became of a group of channels.

    Attributes:
        name: the first layer that computes them.
        layers: all layers that compute them.
        before: number of channels before.
        after: number of channels after.
        reason: why none could be removed; None where they can.
    """

    name: str
    layers: tuple[str, ...]
    before: int
    after: int
    reason: str | None


@dataclass(frozen=True, eq=False)
class PrunedNetwork:
    """A network without some of its channels.

    Attributes:
        model: the network, with the new numbers of channels; its fields are the parent's.
        variables: its variables.
        masked: variables of the parent with which it computes the same: zeros in the place of
            everything that was removed.
        groups: what became of each group of channels.
        multiply_adds: for one image, before and after.
        parameters: before and after.
    """

    model: linen.Module
    variables: dict[str, Any]
    masked: dict[str, Any]
    groups: tuple[GroupChange, ...]
    multiply_adds: tuple[int, int]
    parameters: tuple[int, int]

    def __str__(self) -> str:
        wide = max(len(group.name) for group in self.groups)
        lines = [
            f"{group.name:<{wide}}  {group.before:>5} -> {group.after:>5}"
            + (f"  {group.reason}" if group.reason else "")
            for group in self.groups
        ]
        for name, (before, after) in (
            ("multiply-adds", self.multiply_adds),
            ("parameters", self.parameters),
        ):
            lines.append(f"{name}: {before:,} -> {after:,}, {1 - after / before:.1%} fewer")
        return "\n".join(lines)


def prune_filters(
    model: linen.Module,
    variables: Any,
    input_shape: Sequence[int],
    ratio: Ratio | None = None,
    *,
    multiply_adds: float | None = None,
    by: By = "l1",
    keep: Sequence[str] = (),
    multiple: int = 1,
    seed: int = 0,
) -> PrunedNetwork:
    """Removes the filters with the smallest L1 norms, with all that belongs to their channels.

    The arrays become smaller, and so does the work. Give `ratio`, or `multiply_adds`. Where several
    layers are added up, their norms are; see `channel_groups`.

    Args:
        model: any Flax module that takes one array of images.
        variables: its trained variables.
        input_shape: height, width and channels of an image, without the batch.
        ratio: the share of channels that each group loses, rounded down, from 0 to below 1; or
            pairs of a regular expression over the groups' names and a share, the first that matches
            holds, and other groups stay whole. At least one channel of each group stays.
        multiply_adds: the share of multiply-adds to save, with as few channels as can be: each
            group loses the same share of its channels, up to the rounding.
        by: "l1", or "random" for random channels, to compare with.
        keep: regular expressions over the groups' names: groups that stay whole.
        multiple: a group that loses channels keeps a multiple of so many; see docs/pruning.md.
        seed: of random channels.

    Raises:
        ValueError: a share or `multiple` is out of range, no group can be pruned or one that a rule
            names cannot (the message names the operation and why), a pattern matches no group, or
            so many multiply-adds cannot be saved.
        TypeError: `model` is no Flax module.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from cnnjax import compression, models
        >>> net = models.create_model("lenet5")
        >>> variables = net.init(jax.random.key(0), jnp.zeros((1, 32, 32, 1)))
        >>> pruned = compression.prune_filters(net, variables, (32, 32, 1), ratio=0.5)
        >>> pruned.variables["params"]["c3"]["kernel"].shape
        (5, 5, 3, 8)

    Source: Li et al., 2017 ("Pruning filters for efficient convnets"), sections 3.1 and 3.3.
    """
    if (ratio is None) == (multiply_adds is None):
        raise ValueError("prune_filters: give either ratio or multiply_adds")
    if multiply_adds is not None:
        check_ratio("multiply_adds", multiply_adds)
    elif isinstance(ratio, int | float):
        check_ratio("ratio", ratio)
    check_multiple(multiple)
    pruning = FilterPruning.of(model, variables, tuple(input_shape), by, seed)
    if multiply_adds is not None:
        return _pruned(pruning, channels_that_save(pruning, multiply_adds, keep, multiple))
    shares = ratios_of(pruning.groups, ratio or 0.0, keep)
    return _pruned(pruning, chosen_channels(pruning.groups, pruning.orders, shares, multiple))


def _pruned(pruning: FilterPruning, removed: dict[str, np.ndarray]) -> PrunedNetwork:
    # Few channels fail where one fewer works, such as in a code that compares widths.
    if removed and (problem := pruning.problem(removed)):
        raise ValueError(f"prune_filters: {problem}; give other ratios")
    kept, model = pruning.kept(removed), pruning.shrunk(removed)
    variables = shrunk_variables(pruning.variables, kept)
    return PrunedNetwork(
        model,
        variables,
        masked_variables(pruning.variables, kept),
        tuple(
            GroupChange(
                group.name,
                group.layers,
                group.size,
                group.size - len(removed.get(group.name, ())),
                group.reason,
            )
            for group in pruning.groups
        ),
        (pruning.count(pruning.model, pruning.variables), pruning.count(model, variables)),
        (_parameters(pruning.variables), _parameters(variables)),
    )


def _parameters(variables: Any) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
