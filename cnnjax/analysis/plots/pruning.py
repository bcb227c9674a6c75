"""Plot of scores over the share of channels that each layer lost."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cnnjax.extras import installed_with


def plot_sensitivity(
    ratios: Sequence[float],
    scores: Mapping[str, Sequence[float]],
    whole: float,
    metric: str,
    title: str = "",
) -> Any:
    """Draws a network's score over the share of channels that one layer at a time has lost.

    Args:
        ratios: the shares, from 0 to 1.
        scores: the score for each share, by layer; in color by their order.
        whole: the score of the whole network.
        metric: what the scores are.
        title: a line above.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    with installed_with("report"):
        from matplotlib import colormaps
        from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.8), layout="constrained")
    axes = figure.add_subplot()
    colors = colormaps["viridis"](np.linspace(0, 0.9, len(scores)))
    for number, (name, values) in enumerate(scores.items()):
        style = "-o" if number % 2 == 0 else "--s"
        axes.plot([0, *ratios], [whole, *values], style, color=colors[number], ms=4, label=name)
    axes.set_xlabel("share of the layer's channels removed")
    axes.set_ylabel(metric)
    axes.set_title(title, fontsize=11)
    axes.grid(True, alpha=0.3)
    figure.legend(loc="outside right upper", frameon=False, fontsize=9)
    return figure
