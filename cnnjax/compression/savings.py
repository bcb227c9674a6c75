"""Which channels a network loses to save a share of its multiply-adds."""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from cnnjax.compression.choose_channels import possible_losses, ratios_of
from cnnjax.compression.filter_pruning import FilterPruning


def channels_that_save(
    pruning: FilterPruning, target: float, keep: Sequence[str], multiple: int
) -> dict[str, np.ndarray]:
    """Returns few channels that save a share of the multiply-adds, by group.

    All groups lose the same share of their channels, up to the rounding: channels k to l of n go
    before others if the middle of the shares k / n and l / n is less. Of equal ones, those go first
    that fewer layers compute: a residual network's sums lose channels last.

    Args:
        pruning: the network, and the order of its channels.
        target: the share to save.
        keep: patterns of groups that stay whole.
        multiple: of which as many stay in each group as a multiple of this.

    Raises:
        ValueError: so many cannot be saved, or a pattern matches no group.
    """
    shares = ratios_of(pruning.groups, 0.5, keep)
    losses = {
        group.name: possible_losses(group.size, multiple)
        for group in pruning.groups.removable
        if shares[group.name] > 0
    }
    turns = sorted(
        ((before + lost) / group.size, len(group.layers), place, group.name, lost)
        for place, group in enumerate(pruning.groups.removable)
        for before, lost in itertools.pairwise([0, *losses.get(group.name, ())])
    )

    def saved(lost: Mapping[str, int]) -> float:
        return pruning.saved(_channels(pruning, lost))

    def lost_after(count: int) -> dict[str, int]:
        return {name: lost for *_, name, lost in turns[:count]}

    if (most := saved(lost_after(len(turns)))) < target:
        least = "one channel" if multiple == 1 else f"at least {multiple} channels"
        raise ValueError(
            f"multiply_adds: {target:g} of them cannot be saved; with {least} left in each group "
            f"that can be pruned, {most:.3g} are"
        )
    low, high = 0, len(turns)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if saved(lost_after(middle)) >= target else (middle + 1, high)
    return _channels(pruning, lost_after(low))


def _channels(pruning: FilterPruning, lost: Mapping[str, int]) -> dict[str, np.ndarray]:
    return {name: np.sort(pruning.orders[name][:count]) for name, count in lost.items() if count}
