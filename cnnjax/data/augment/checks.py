"""Checks of the arguments that several augmentations share."""

import numpy as np


def check_probability(name: str, probability: float) -> None:
    """Refuses what is no probability."""
    if not 0 <= probability <= 1:
        raise ValueError(f"{name}: probability is {probability}; give 0 to 1")


def check_range(name: str, what: str, bounds: tuple[float, float], low: float, high: float) -> None:
    """Refuses bounds that are not two rising numbers above `low` and up to `high`."""
    if len(bounds) != 2 or not low < bounds[0] <= bounds[1] <= high:
        raise ValueError(
            f"{name}: {what} is {bounds}; give two rising numbers above {low}"
            + ("" if high == np.inf else f" and up to {high}")
        )
