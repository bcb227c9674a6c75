"""Which channels are removed: the smallest filters of each group, or random ones."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int

from cnnjax import patterns
from cnnjax.compression.channel_groups import ChannelGroup, ChannelGroups
from cnnjax.compression.paths import flat_paths
from cnnjax.nearest import did_you_mean

By = Literal["l1", "random"]

Ratio = float | Sequence[tuple[str, float]]
"""A share of each group's channels; or pairs of a pattern over groups' names and a share."""


def filter_norms(variables: Any, group: ChannelGroup) -> Float[np.ndarray, " channels"]:
    """Returns the L1 norm of each channel's filters, added up over the layers that compute it.

    Args:
        variables: the network's.
        group: the channels.

    Source: Li et al., 2017, section 3.1.
    """
    flat = flat_paths(variables)
    norms = np.zeros(group.size)
    for path, axis in group.filters:
        kernel = np.abs(np.asarray(flat[path], np.float64))
        sums = kernel.sum(axis=tuple(d for d in range(kernel.ndim) if d != axis))
        norms += [sums[places].sum() for places in group.members[path, axis]]
    return norms


def channel_orders(
    variables: Any, groups: ChannelGroups, by: By, seed: int
) -> dict[str, Int[np.ndarray, " channels"]]:
    """Returns the channels of each group, the first to be removed first.

    Args:
        variables: the network's.
        groups: its groups.
        by: "l1" for the smallest filters first, "random" for a random order.
        seed: of the random order.

    Raises:
        ValueError: `by` is neither.
    """
    if by not in ("l1", "random"):
        raise ValueError(f"by: {by!r} was given; give 'l1' or 'random'")
    generator = np.random.default_rng(seed)
    return {
        group.name: generator.permutation(group.size)
        if by == "random"
        # Stable: channels of equal norms go in their own order.
        else np.argsort(filter_norms(variables, group), kind="stable")
        for group in groups.removable
    }


def check_ratio(name: str, ratio: Any) -> None:
    """Raises a ValueError unless a share is a number from 0 to below 1.

    Args:
        name: of the argument.
        ratio: what was given.
    """
    number = isinstance(ratio, int | float | np.number) and not isinstance(ratio, bool)
    if not number or not 0 <= ratio < 1:
        raise ValueError(
            f"{name}: {ratio!r} was given; give a share of 0 or more, and below 1, such as 0.3"
        )


def ratios_of(groups: ChannelGroups, ratio: Ratio, keep: Sequence[str] = ()) -> dict[str, float]:
    """Returns the share of channels that each group loses, by its name.

    Args:
        groups: the network's.
        ratio: one share for all groups that can be pruned, or rules; the first pattern that
            matches a group's whole name gives its share, and groups that none matches stay whole.
        keep: patterns of groups that stay whole.

    Raises:
        ValueError: a share is out of range, a pattern matches no group, or one that cannot be
            pruned; the message names the operation and why.
    """
    kept = _matched("keep", groups, [(pattern, 0.0) for pattern in keep])
    if isinstance(ratio, str) or not isinstance(ratio, Sequence):
        check_ratio("ratio", ratio)
        return {group.name: kept.get(group.name, float(ratio)) for group in groups.removable}
    rules: list[Any] = [tuple(rule) for rule in ratio]
    for rule in rules:
        if len(rule) != 2 or not isinstance(rule[0], str):
            raise ValueError(f"ratio: {rule!r} is no pair of a pattern and a share")
        check_ratio(f"ratio: {rule[0]}", rule[1])
    shares = {**_matched("ratio", groups, rules), **kept}
    for group in groups:
        if group.reason is not None and shares.get(group.name, 0) > 0:
            raise ValueError(
                f"ratio: the channels of {group.name} cannot be removed: {group.reason}"
            )
    return {group.name: float(shares.get(group.name, 0)) for group in groups.removable}


def _matched(
    argument: str, groups: ChannelGroups, rules: Sequence[tuple[str, float]]
) -> dict[str, float]:
    """Returns the value of the first rule that matches each group, where one does."""
    tree = {group.name: 0 for group in groups}
    if not rules:
        return {}
    try:
        found = patterns.match([*rules, (".*", None)], tree)
    except ValueError as error:
        raise ValueError(f"{argument}: {error}") from None
    for pattern in patterns.unused(rules, tree):
        names = [group.name for group in groups]
        hint = did_you_mean(pattern, names).strip() or f"there are {', '.join(names)}"
        raise ValueError(f"{argument}: no group of channels is named {pattern!r}; {hint}")
    return {name: value for name, value in found.items() if value is not None}


def check_multiple(multiple: Any) -> None:
    """Raises a ValueError unless a number of channels is a whole one, 1 or more.

    Args:
        multiple: what was given.
    """
    if isinstance(multiple, bool) or not isinstance(multiple, int) or multiple < 1:
        raise ValueError(f"multiple: {multiple!r} was given; give a whole number, such as 8")


def possible_losses(size: int, multiple: int) -> list[int]:
    """Returns how many channels a group can lose, 0 not among them, in rising order.

    Args:
        size: its number of channels.
        multiple: of which as many stay as a multiple of this.
    """
    return [size - left for left in range(size - 1, 0, -1) if left % multiple == 0]


def chosen_channels(
    groups: ChannelGroups,
    orders: Mapping[str, np.ndarray],
    ratios: Mapping[str, float],
    multiple: int,
) -> dict[str, np.ndarray]:
    """Returns the channels that are removed from each group; at least one of each stays.

    Args:
        groups: the network's.
        orders: the channels of each group, the first to be removed first.
        ratios: the largest share of channels that each group loses.
        multiple: of which as many stay in each group as a multiple of this.
    """
    chosen = {}
    for group in groups.removable:
        # 0.3 of 10 channels are 3, although 0.3 * 10 is a little less in binary numbers.
        most = ratios[group.name] * group.size + 1e-9
        counts = [n for n in possible_losses(group.size, multiple) if n <= most]
        if counts:
            chosen[group.name] = np.sort(orders[group.name][: counts[-1]])
    return chosen
