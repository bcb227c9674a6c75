"""The values of a chart, as the page's script shows them under the pointer."""

import html
import json
import math
import re
from collections.abc import Sequence
from typing import Any

# More points of one line than a chart has pixels cannot be pointed at.
_MOST_POINTS = 400


def add_hover(svg: str, axes: Any, lines: Sequence[Any], across: str, up: str) -> str:
    """Returns a chart's `<svg>` with its values in the attribute `data-chart`, as JSON.

    `x` and `y` describe the axes: start, length and whether the axis is logarithmic, such that a
    value (or its logarithm to base 10) v is drawn at start + length * v, in units of the drawing.
    `top` and `bottom` are the ends of the plot in the same units. Each of `lines` has a name, a
    color, points, and the ends of a band if there is one.

    Args:
        svg: the element; ids of the groups of line 3 and its band end in "line3" and "band3".
        axes: matplotlib's axes after they were drawn.
        lines: the lines that were drawn, see `Line`.
        across: name of the horizontal axis.
        up: name of the vertical axis.
    """
    height = axes.figure.get_figheight() * 72
    scales = [_scale(axes, place, height) for place in (0, 1)]
    frame = axes.get_window_extent()
    values = {
        "across": across,
        "up": up,
        "x": scales[0],
        "y": scales[1],
        "top": _short(height - frame.y1),
        "bottom": _short(height - frame.y0),
        "lines": [_values(line) for line in lines],
    }
    text = html.escape(json.dumps(values, separators=(",", ":"), ensure_ascii=False), quote=True)
    svg = re.sub(r'(id="[^"]*-(?:line|band)(\d+)")', r'\1 data-line="\2"', svg)
    return svg.replace("<svg ", f'<svg data-chart="{text}" ', 1)


def _scale(axes: Any, place: int, height: float) -> list[float | int]:
    """Returns start, length and logarithm of one axis."""
    logarithmic = (axes.get_xscale, axes.get_yscale)[place]() == "log"
    # Any two values of the axis: it is straight in them or in their logarithms.
    first, second = (axes.get_xlim, axes.get_ylim)[place]()
    if place == 0:
        points = [[value, axes.get_ylim()[0]] for value in (first, second)]
    else:
        points = [[axes.get_xlim()[0], value] for value in (first, second)]
    drawn = [float(point[place]) for point in axes.transData.transform(points)]
    if place == 1:
        drawn = [height - value for value in drawn]
    if logarithmic:
        first, second = math.log10(first), math.log10(second)
    length = (drawn[1] - drawn[0]) / (second - first)
    return [_short(drawn[0] - length * first), _short(length), int(logarithmic)]


def _values(line: Any) -> dict[str, Any]:
    step = max(1, math.ceil(len(line.x) / _MOST_POINTS))
    # The last point is what a reader looks for first.
    kept = sorted({*range(0, len(line.x), step), len(line.x) - 1} - {-1})
    found: dict[str, Any] = {"name": line.name, "color": line.color}
    columns = {"x": line.x, "y": line.y}
    if line.band:
        columns |= {"low": line.band[0], "high": line.band[1]}
    return found | {
        name: [_short(column[place]) for place in kept] for name, column in columns.items()
    }


def _short(value: float) -> float:
    """Returns a number with as many digits as a reader can use."""
    return float(f"{value:.7g}")
