"""Columns of the lines that the benchmarks print while they run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

LAYER_WIDTH = 42
"""Characters of a layer's name."""

NETWORK_WIDTH = 24
"""Characters of a network's name."""


def times_over_ours(ms: Mapping[str, float], names: Iterable[str], decimals: int) -> list[str]:
    """Returns a cell for each contestant that was timed: its ms, and how many times ours that is.

    Args:
        ms: milliseconds by contestant, "ours" among them.
        names: the contestants in the order of the cells.
        decimals: digits of the ms behind the point.
    """
    return [
        f"{name} {ms[name]:9.{decimals}f} x{ms[name] / ms['ours']:<6.2f}"
        for name in names
        if name in ms
    ]
