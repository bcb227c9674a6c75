"""Line charts as inline SVG that follows the page's light or dark scheme."""

import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cnnjax.reports.run_record import RunRecord

# matplotlib draws in these colours, and each then becomes a variable of the style sheet.
_THEME = {
    "#010101": "var(--ink)",
    "#020202": "var(--muted)",
    "#030303": "var(--line)",
    "#040404": "var(--train)",
    "#050505": "var(--test)",
}
_INK, _MUTED, _LINE, _TRAIN, _TEST = _THEME


def loss_chart(record: RunRecord, *, log: bool) -> str | None:
    """The loss over the epochs, on training batches and on the evaluated split.

    Returns:
      An `<svg>` element; `None` on a logarithmic axis where no loss is above 0.
    """
    return _chart(record, "loss", lambda line: line["loss"], log=log, label="loss")


def accuracy_chart(record: RunRecord) -> str | None:
    """The accuracy in per cent over the epochs, on a linear axis."""
    return _chart(
        record, "accuracy", lambda line: 100 * line["accuracy"], log=False, label="accuracy, %"
    )


def error_chart(record: RunRecord) -> str | None:
    """The error, 100 % less the accuracy, on a logarithmic axis; points without error left out."""
    return _chart(
        record, "accuracy", lambda line: 100 * (1 - line["accuracy"]), log=True, label="error, %"
    )


def _chart(record: RunRecord, key: str, value, *, log: bool, label: str) -> str | None:
    train = _points(record.train, key, value)
    evaluated = _points(record.evaluated, key, value)
    series = [
        Series("train", *train, marker="." if len(train[0]) < 3 else ""),
        Series("test", *evaluated, marker="o"),
    ]
    return line_chart(series, log=log, across="epoch", up=label)


@dataclass(frozen=True)
class Series:
    """One line of a chart.

    Attributes:
      colour: "train" or "test", the two colours of the theme.
      x, y: the points.
      marker: matplotlib's mark of a point; "" for none.
    """

    colour: str
    x: Sequence[float]
    y: Sequence[float]
    marker: str = "o"


def line_chart(series: Sequence[Series], *, across: str, up: str, log: bool = False) -> str | None:
    """Lines over a common axis, in the page's colours.

    Args:
      series: the lines; points that are not finite, or not above 0 on a logarithmic axis, are
        left out.
      across: what the horizontal axis shows.
      up: what the vertical axis shows.
      log: whether the vertical axis is logarithmic.

    Returns:
      An `<svg>` element; None where there is no point to draw.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

    figure = Figure(figsize=(5.4, 3.4), dpi=72, layout="constrained")
    axes = figure.add_subplot()
    drawn = False
    for line in series:
        pairs = [
            (x, y)
            for x, y in zip(line.x, line.y, strict=True)
            if math.isfinite(y) and (y > 0 or not log)
        ]
        drawn = drawn or bool(pairs)
        axes.plot(
            [x for x, _ in pairs],
            [y for _, y in pairs],
            color={"train": _TRAIN, "test": _TEST}[line.colour],
            linewidth=2,
            marker=line.marker,
            markersize=5 if len(pairs) < 60 else 2.5,
        )
    if not drawn:
        return None
    if log:
        axes.set_yscale("log")
        low, high = axes.get_ylim()
        few = math.log10(high / low) < 1.6
        subs = (1.0, 2.0, 5.0) if few else (1.0,)
        axes.yaxis.set_major_locator(LogLocator(subs=subs, numticks=8))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_major_formatter(lambda tick, _: f"{tick:g}")
    else:
        axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.set_xlabel(across, fontsize=13, color=_INK)
    axes.set_ylabel(up, fontsize=13, color=_INK)
    axes.tick_params(labelsize=12, color=_LINE, labelcolor=_MUTED)
    axes.tick_params(which="minor", length=0)
    axes.grid(True, color=_LINE, linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(_LINE)
    name = re.sub(r"\W+", "", f"{across}-{up}") + ("-log" if log else "-linear")
    return _themed_svg(figure, name)


def _points(lines: Sequence[Mapping[str, Any]], key: str, value) -> tuple[list[float], list[float]]:
    """Epochs and values of the lines that have the metric."""
    pairs = [(float(line["epoch"]), float(value(line))) for line in lines if key in line]
    return [x for x, _ in pairs], [y for _, y in pairs]


def _themed_svg(figure, name: str) -> str:
    """The figure as an `<svg>` in the theme's colours, its ids beginning with `name`."""
    import matplotlib

    stream = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "font.family": "sans-serif"}):
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    svg = stream.getvalue()
    svg = svg[svg.index("<svg") :]
    # Its style element would hold for the whole page.
    svg = re.sub(r"<(metadata|style)\b.*?</\1>", "", svg, flags=re.DOTALL)
    for colour, variable in _THEME.items():
        svg = svg.replace(colour, variable)
    # Text in the page's own typeface, and no fixed size: the style sheet sets the width.
    svg = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", svg)
    svg = re.sub(r'<svg ([^>]*?)height="[^"]*"([^>]*?)width="[^"]*"', r"<svg \1\2", svg, count=1)
    svg = re.sub(r'<svg ([^>]*?)width="[^"]*"([^>]*?)height="[^"]*"', r"<svg \1\2", svg, count=1)
    # Two charts on one page must not share ids.
    prefix = f"{name}-"
    svg = re.sub(r'\bid="', f'id="{prefix}', svg)
    svg = svg.replace('href="#', f'href="#{prefix}').replace("url(#", f"url(#{prefix}")
    return svg.replace("<svg ", '<svg aria-hidden="true" ', 1)
