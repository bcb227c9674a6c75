"""Factors of the learning rate that shrink from the last layer to the first, from one number."""

from collections.abc import Sequence

from cnnjax.recipes.layer_order import part_pattern


def decayed_rates(groups: Sequence[Sequence[str]], decay: float) -> tuple[tuple[str, float], ...]:
    """Returns rules that multiply the rate by `decay` once for each part behind a parameter's own.

    Args:
        groups: the network's parts, as `layer_groups` returns them.
        decay: factor from one part to the part before; 1 gives all the same rate.

    Source: Clark et al., "ELECTRA", 2020, appendix B; for images Bao et al., "BEiT", 2022.
    """
    last = len(groups) - 1
    return tuple(
        (part_pattern(group), decay ** (last - place))
        for place, part in enumerate(groups)
        for group in part
    )
