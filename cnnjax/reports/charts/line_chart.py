"""Line charts as inline SVG in the colors of the page's light or dark scheme."""

import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from cnnjax.extras import installed_with
from cnnjax.reports.charts.hover import add_hover

# matplotlib draws in these colors, each of which is then replaced by a variable of the style sheet.
_THEME = {
    "#010101": "var(--ink)",
    "#020202": "var(--muted)",
    "#030303": "var(--line)",
    "#040404": "var(--c1)",
    "#050505": "var(--c2)",
    "#060606": "var(--c3)",
    "#070707": "var(--c4)",
    "#080808": "var(--c5)",
    "#090909": "var(--c6)",
}
_INK, _MUTED, _LINE, *_COLORS = _THEME

TRAIN, EVALUATED = 1, 2
"""Colors of values on training batches and on the evaluated split."""


DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1.4, 1.4)), (0, (6, 2, 1.4, 2)))
"""Patterns that distinguish lines of one color, as matplotlib has them; the first is solid."""


@dataclass(frozen=True)
class Line:
    """One line of a chart.

    Attributes:
        color: 1 to 6, the colors of the style sheet; 0 for a thin dashed line in a neutral color.
        x: horizontal positions of the points.
        y: vertical positions of the points.
        marker: matplotlib's mark of a point; "" for none.
        joined: whether the points are joined.
        name: what it shows, for the values under the pointer; "" where its chart has one line.
        dash: which of `DASHES` it has.
        band: lower and upper ends of a band around the line, for each point; None for none.
    """

    color: int
    x: Sequence[float]
    y: Sequence[float]
    marker: str = "o"
    joined: bool = True
    name: str = ""
    dash: int = 0
    band: tuple[Sequence[float], Sequence[float]] | None = None


def line_chart(
    lines: Sequence[Line],
    *,
    name: str,
    across: str,
    up: str,
    log: bool = False,
    log_across: bool = False,
) -> str | None:
    """Draws lines over a common axis, in the page's colors.

    The page's script shows the values under the pointer, from the element's `data-chart`.

    Args:
        lines: the lines; points that are not finite, or not above 0 on a logarithmic axis, are
            left out.
        name: the chart's name on its page, different from all others.
        across: what the horizontal axis shows.
        up: what the vertical axis shows.
        log: whether the vertical axis is logarithmic.
        log_across: whether the horizontal axis is logarithmic.

    Returns:
        An `<svg>` element; None if there is no point to draw.
    """
    with installed_with("report"):
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(5.4, 3.4), dpi=72, layout="constrained")
    axes = figure.add_subplot()
    drawn = [_drawable(line, log, log_across) for line in lines]
    if not any(line.x for line in drawn):
        return None
    for place, line in enumerate(drawn):
        _draw(axes, line, place, log)
    for axis, logarithmic in ((axes.xaxis, log_across), (axes.yaxis, log)):
        if logarithmic:
            _make_logarithmic(axis)
        else:
            # Layers and places have no halves.
            whole = axis is axes.xaxis and all(x.is_integer() for line in drawn for x in line.x)
            axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10], integer=whole))
    axes.set_xlabel(across, fontsize=13, color=_INK)
    axes.set_ylabel(up, fontsize=13, color=_INK)
    axes.tick_params(labelsize=12, color=_LINE, labelcolor=_MUTED)
    axes.tick_params(which="minor", length=0)
    axes.grid(True, color=_LINE, linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(_LINE)
    svg = _themed_svg(figure, re.sub(r"[^\w-]+", "-", name) + ("-log" if log else "-linear"))
    return add_hover(svg, axes, drawn, across, up)


def _drawable(line: Line, log: bool, log_across: bool) -> Line:
    """Returns a line with those points that the axes can show."""
    kept = [
        place
        for place, (x, y) in enumerate(zip(line.x, line.y, strict=True))
        if math.isfinite(x)
        and math.isfinite(y)
        and (y > 0 or not log)
        and (x > 0 or not log_across)
    ]

    def chosen(values: Sequence[float]) -> list[float]:
        return [float(values[place]) for place in kept]

    band = line.band and (chosen(line.band[0]), chosen(line.band[1]))
    return replace(line, x=chosen(line.x), y=chosen(line.y), band=band)


def _draw(axes, line: Line, place: int, log: bool) -> None:
    """Draws a line's points; `place` is its number in the chart."""
    color = _COLORS[line.color - 1] if line.color else _MUTED
    if line.band:
        low, high = line.band
        # On a logarithmic axis a band that reaches 0 has no lower end, and is drawn from the line.
        low = [y if log and end <= 0 else end for end, y in zip(low, line.y, strict=True)]
        axes.fill_between(
            line.x, low, high, color=color, alpha=0.16, linewidth=0, gid=f"band{place}"
        )
    style = DASHES[line.dash] if line.joined else "None"
    axes.plot(
        line.x,
        line.y,
        color=color,
        # A line without a color is always dashed.
        linestyle=style if line.color else "--",
        linewidth=2 if line.color else 1.2,
        marker=line.marker,
        # Large marks of many points would cover the line.
        markersize=5 if len(line.x) < 60 else 2.5,
        gid=f"line{place}",
    )


def _make_logarithmic(axis) -> None:
    """Makes an axis logarithmic, with plain numbers at its ticks."""
    with installed_with("report"):
        from matplotlib.ticker import LogLocator, NullFormatter

    (axis.axes.set_yscale if axis.axis_name == "y" else axis.axes.set_xscale)("log")
    low, high = axis.get_view_interval()
    # Less than one and a half decades need ticks between the powers of ten.
    few = math.log10(high / low) < 1.6
    subs = (1.0, 2.0, 5.0) if few else (1.0,)
    axis.set_major_locator(LogLocator(subs=subs, numticks=8))
    axis.set_minor_formatter(NullFormatter())
    axis.set_major_formatter(lambda tick, _: _tick(tick))


def _tick(value: float) -> str:
    """Returns the number at a tick; a large one with a letter for its thousands."""
    if value < 1e4:
        return f"{value:g}"
    thousands = min(int(math.log10(value) / 3 + 1e-9), 6)
    return f"{value / 1000**thousands:g} {'KMGTPE'[thousands - 1]}"


def _themed_svg(figure, name: str) -> str:
    """Returns the figure as an `<svg>` in the theme's colors, whose ids start with `name`."""
    with installed_with("report"):
        import matplotlib

    stream = io.StringIO()
    # Text stays text, which can be selected and has the page's typeface.
    with matplotlib.rc_context({"svg.fonttype": "none", "font.family": "sans-serif"}):
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    svg = stream.getvalue()
    svg = svg[svg.index("<svg") :]
    # Its style element would apply to the whole page.
    svg = re.sub(r"<(metadata|style)\b.*?</\1>", "", svg, flags=re.DOTALL)
    for color, variable in _THEME.items():
        svg = svg.replace(color, variable)
    # Text in the page's typeface, and no fixed size: the style sheet sets both.
    svg = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", svg)
    svg = re.sub(r'<svg ([^>]*?)height="[^"]*"([^>]*?)width="[^"]*"', r"<svg \1\2", svg, count=1)
    svg = re.sub(r'<svg ([^>]*?)width="[^"]*"([^>]*?)height="[^"]*"', r"<svg \1\2", svg, count=1)
    # Two charts on one page must not share ids.
    prefix = f"{name}-"
    svg = re.sub(r'\bid="', f'id="{prefix}', svg)
    svg = svg.replace('href="#', f'href="#{prefix}').replace("url(#", f"url(#{prefix}")
    return svg.replace("<svg ", '<svg aria-hidden="true" ', 1)
