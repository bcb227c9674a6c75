"""Plots of what initializers and activations do with depth, for `depth_study.depth_study`.

Colors are distinguishable with every kind of color vision, and marks differ too.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from cnnjax.analysis.behavior.depth_study import DepthStudy
from cnnjax.analysis.plots.plots import COLORS
from cnnjax.extras import installed_with

_MARKERS = "osD^vPX"


def plot_depth(studies: Mapping[str, DepthStudy], title: str = "") -> Any:
    """Draws spread, gradient, saturation and variety layer by layer, a line for each study.

    Where lines cover each other, the lower ones have larger marks, so that all are seen.

    Args:
        studies: name to study.
        title: a line above.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    with installed_with("report"):
        from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 6.4), layout="constrained")
    panels = (
        ("std", "spread of the activations", True),
        ("gradient", "gradient at the layer's output", True),
        ("saturated", "share of saturated units", False),
        ("variety", "variety among the units of a layer", False),
    )
    # A logarithmic axis has no place for 0, so that the smallest values are drawn at 1e-12.
    for axes, (field, label, log) in zip(figure.subplots(2, 2).flat, panels, strict=True):
        for number, (name, study) in enumerate(studies.items()):
            values = getattr(study, field)
            axes.plot(
                range(1, len(values) + 1),
                np.maximum(values, 1e-12) if log else values,
                color=COLORS[number % len(COLORS)],
                marker=_MARKERS[number % len(_MARKERS)],
                markersize=4 + 1.2 * (len(studies) - 1 - number),
                label=name,
            )
        if log:
            axes.set_yscale("log")
        else:
            # Room for the marks at 0 and at 1.
            axes.set_ylim(-0.06, 1.1)
        axes.set_xlabel("layer")
        axes.set_title(label, fontsize=11)
        axes.grid(True, alpha=0.3)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", frameon=False, labelspacing=1)
    figure.suptitle(title)
    return figure


def plot_depth_grid(studies: Mapping[str, Mapping[str, DepthStudy]], title: str = "") -> Any:
    """Draws tables of what is left after the last layer, by initializer and activation.

    Args:
        studies: initializer to activation to study; the same activations for each initializer.
        title: a line above.

    Returns:
        A `matplotlib.figure.Figure` of four tables: the spread of the last layer's activations, the
        gradient at the first layer's output, the share of saturated units and the variety in the
        last layer. The first two are colored by their logarithm, white at 1.
    """
    with installed_with("report"):
        from matplotlib.colors import Normalize
        from matplotlib.figure import Figure

    rows, columns = list(studies), list(next(iter(studies.values())))
    panels = (
        ("std", -1, "spread of the last layer's activations", True),
        ("gradient", 0, "gradient at the first layer's output", True),
        ("saturated", -1, "share of saturated units, last layer", False),
        ("variety", -1, "variety among the units, last layer", False),
    )
    figure = Figure(figsize=(11, 7.4), layout="constrained")
    for axes, (field, layer, label, size) in zip(figure.subplots(2, 2).flat, panels, strict=True):
        values = np.array([[getattr(studies[r][c], field)[layer] for c in columns] for r in rows])
        if size:
            # Beyond a thousandth and a thousand all have vanished or exploded alike.
            shown = np.log10(np.clip(values, 1e-3, 1e3))
            drawn = axes.imshow(shown, cmap="PuOr_r", norm=Normalize(-3, 3), aspect="auto")
        else:
            shown = values
            drawn = axes.imshow(shown, cmap="Greys", norm=Normalize(0, 1.6), aspect="auto")
        for row, column in np.ndindex(values.shape):
            value = values[row, column]
            text = f"{value:.2f}" if not size or 0.01 <= value < 100 else f"{value:.0e}"
            # Black letters on light cells, white ones on dark cells, by the perceived brightness.
            red, green, blue, _ = drawn.to_rgba(shown[row, column])
            ink = "black" if 0.3 * red + 0.59 * green + 0.11 * blue > 0.5 else "white"
            axes.text(column, row, text, ha="center", va="center", fontsize=10, color=ink)
        axes.set_xticks(range(len(columns)), columns)
        axes.set_yticks(range(len(rows)), rows)
        axes.tick_params(length=0)
        axes.set_title(label, fontsize=11)
    figure.suptitle(title)
    return figure
