"""Plots of searches: what the best found is worth after each evaluation, and accuracy over cost."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jax.typing import ArrayLike

from cnnjax.analysis.plots.plots import COLORS
from cnnjax.extras import installed_with

_DASHES = ("-", "--", ":", "-.")
_MARKERS = "osD^vPX"


def plot_courses(
    courses: Mapping[str, ArrayLike], up: str, title: str = "", *, log: bool = False
) -> Any:
    """Draws the mean course of repeated searches, with the interval of its mean.

    Args:
        courses: name to values, [repetitions, evaluations].
        up: what the values are.
        title: a line above.
        log: whether the vertical axis is logarithmic.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    with installed_with("report"):
        from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.4), layout="constrained")
    axes = figure.add_subplot()
    for number, (name, values) in enumerate(courses.items()):
        array = np.asarray(values, np.float64)
        mean = array.mean(axis=0)
        # The normal quantile: there are hundreds of repetitions.
        half = 1.96 * array.std(axis=0, ddof=1) / np.sqrt(len(array))
        places, color = np.arange(1, len(mean) + 1), COLORS[number % len(COLORS)]
        axes.plot(places, mean, _DASHES[number % len(_DASHES)], color=color, label=name)
        axes.fill_between(places, mean - half, mean + half, color=color, alpha=0.2, linewidth=0)
    if log:
        axes.set_yscale("log")
    axes.set_xlabel("evaluations")
    axes.set_ylabel(up)
    axes.set_title(title, fontsize=11)
    axes.grid(True, alpha=0.3)
    axes.legend(frameon=False)
    return figure


def plot_tradeoff(
    groups: Mapping[str, Sequence[tuple[float, float]]],
    up: str,
    title: str = "",
    *,
    joined: Sequence[str] = (),
) -> Any:
    """Draws values over multiply-adds, one mark for each network.

    Args:
        groups: name to pairs of multiply-adds and value.
        up: what the values are.
        title: a line above.
        joined: names of the groups whose points are joined by steps, such as a Pareto front.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    with installed_with("report"):
        from matplotlib.figure import Figure
        from matplotlib.ticker import FuncFormatter

    figure = Figure(figsize=(7, 4.4), layout="constrained")
    axes = figure.add_subplot()
    # The first group is what the others lie in, and is drawn in gray.
    colors = ("#9a9a9a", *COLORS)
    for number, (name, pairs) in enumerate(groups.items()):
        cost, value = np.asarray(pairs, np.float64).reshape(-1, 2).T
        style: dict[str, Any] = {"color": colors[number % len(colors)], "label": name}
        style["zorder"] = 2 + number
        marker = _MARKERS[number % len(_MARKERS)]
        if name in joined:
            axes.step(cost, value, where="post", marker=marker, markersize=5, **style)
        else:
            axes.scatter(cost, value, s=24, marker=marker, alpha=0.8, linewidths=0, **style)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
    axes.xaxis.set_minor_formatter(FuncFormatter(lambda x, _: ""))
    axes.set_xlabel("multiply-adds of an image")
    axes.set_ylabel(up)
    axes.set_title(title, fontsize=11)
    axes.grid(True, alpha=0.3)
    axes.legend(frameon=False, loc="lower right")
    return figure
