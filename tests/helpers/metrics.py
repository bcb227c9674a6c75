"""Metrics of training runs, for comparisons of runs."""

from collections.abc import Iterable, Mapping
from typing import Any

OF_TIME = ("images_per_second", "waiting_share")


def timeless(lines: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Returns lines of metrics without what depends on the clock, in order of step and split."""
    kept = [{k: v for k, v in line.items() if k not in OF_TIME} for line in lines]
    return sorted(kept, key=lambda line: (line["step"], line["split"]))
