"""Plot of ensembles: the error over the number of networks that are joined."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cnnjax.analysis.plots.plots import COLORS
from cnnjax.extras import installed_with

_MARKERS = "osD^vPX"


def plot_sizes(groups: Mapping[str, Sequence[tuple[float, float, float]]], title: str = "") -> Any:
    """Draws errors in percent over the number of joined networks, with bars from best to worst.

    Args:
        groups: name to the mean, lowest and highest error of 1, 2, … networks, as shares.
        title: a line above.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    with installed_with("report"):
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(7, 4.4), layout="constrained")
    axes = figure.add_subplot()
    for number, (name, errors) in enumerate(groups.items()):
        mean, low, high = 100 * np.asarray(errors, np.float64).T
        # Side by side, so that bars of the same size do not hide each other.
        places = np.arange(1, len(mean) + 1) + 0.06 * (number - (len(groups) - 1) / 2)
        axes.errorbar(
            places,
            mean,
            np.maximum([mean - low, high - mean], 0),
            marker=_MARKERS[number % len(_MARKERS)],
            color=COLORS[number % len(COLORS)],
            capsize=3,
            label=name,
        )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("joined networks")
    axes.set_ylabel("error, %")
    axes.set_title(title, fontsize=11)
    axes.grid(True, alpha=0.3)
    axes.legend(frameon=False)
    return figure
