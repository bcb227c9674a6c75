"""Accuracy against operations: what the published networks cost, and what they reach."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from cnnjax import models
from cnnjax.analysis.cost.summarize import summarize
from cnnjax.extras import installed_with

Measure = Literal["top-1", "top-5", "CIFAR-10"]
Area = Literal["memory", "parameters"]

# How the registry words the first published figure of each measure.
_PATTERNS: dict[str, str] = {
    "top-1": r"top-1(?:/top-5)? ([\d.]+)",
    "top-5": r"(?:top-1/top-5 [\d.]+/|top-5 )([\d.]+)",
    "CIFAR-10": r"CIFAR-10 ([\d.]+)",
}


@dataclass(frozen=True)
class ComplexityPoint:
    """A network's published error and what it costs.

    Attributes:
        name: registered name.
        error: published error, per cent.
        setting: how it was measured, in the registry's words.
        source: where it was published.
        multiply_adds: for one image.
        parameters: number of trainable parameters.
        memory: bytes of the parameters and of one image's forward pass, in float32.
    """

    name: str
    error: float
    setting: str
    source: str
    multiply_adds: int
    parameters: int
    memory: int


def complexity_points(
    measure: Measure = "top-1", names: Sequence[str] | None = None
) -> list[ComplexityPoint]:
    """Returns a point for each registered network that has a published error.

    Args:
        measure: "top-1" or "top-5" (ImageNet), or "CIFAR-10".
        names: the networks to include; None for all.

    Returns:
        One point a network, from few to many operations.

    Raises:
        ValueError: the measure or a name is not known.
    """
    if measure not in _PATTERNS:
        raise ValueError(
            f"complexity_points: measure {measure!r} is not known; there are {list(_PATTERNS)}"
        )
    points = []
    for name in models.list_models() if names is None else names:
        info = models.model_info(name)
        found = re.search(_PATTERNS[measure], info.errors or "")
        # Not every paper reports every measure.
        if found is None:
            continue
        summary = summarize(models.create_model(name), info.input_size, kept=False)
        points.append(
            ComplexityPoint(
                name,
                float(found.group(1)),
                str(info.errors),
                info.source,
                summary.multiply_adds,
                summary.parameters,
                summary.bytes_forward + 4 * summary.parameters,
            )
        )
    return sorted(points, key=lambda point: point.multiply_adds)


def complexity_chart(
    points: Sequence[ComplexityPoint], area: Area = "memory", measure: Measure = "top-1"
) -> Any:
    """Draws accuracy against operations, each network as a circle.

    Args:
        points: of `complexity_points`.
        area: what the circles' areas show: "memory" or "parameters".
        measure: the measure of the points, for the name of the axis.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: the area is not known.

    Source: Canziani, Paszke and Culurciello, 2016, figure 2.
    """
    if area not in get_args(Area):
        raise ValueError(
            f"complexity_chart: area {area!r} is not known; there are {list(get_args(Area))}"
        )
    with installed_with("report"):
        from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 6), layout="constrained")
    axes = figure.add_subplot()
    size: Callable[[ComplexityPoint], float] = (
        (lambda p: p.memory / 4e5) if area == "memory" else (lambda p: p.parameters / 1e5)
    )
    families = sorted({_family(point.name) for point in points})
    # Small circles are drawn last, so that large ones do not cover them.
    for point in sorted(points, key=size, reverse=True):
        color = _COLORS[families.index(_family(point.name)) % len(_COLORS)]
        axes.scatter(
            point.multiply_adds / 1e9,
            100 - point.error,
            s=size(point),
            color=color,
            alpha=0.55,
            edgecolor="black",
            linewidth=0.7,
        )
    _describe_axes(axes, area, measure)
    # A marker's size is the area of its square in square points.
    places = [(p.multiply_adds / 1e9, 100 - p.error, size(p) ** 0.5 / 2, p.name) for p in points]
    _label(figure, axes, places)
    return figure


def _describe_axes(axes: Any, area: Area, measure: Measure) -> None:
    """Sets the scales and the names of the axes, and explains the circles' areas."""
    with installed_with("report"):
        from matplotlib.ticker import LogLocator, NullFormatter

    axes.set_xscale("log")
    axes.margins(0.12)
    axes.set_xlabel("multiply-adds for one image, billions")
    axes.set_ylabel(f"{measure} accuracy, %")
    meaning = "bytes of parameters and one image's outputs" if area == "memory" else "parameters"
    axes.set_title(f"Area of a circle: {meaning}", loc="left", fontsize=10)
    axes.grid(True, alpha=0.3)
    axes.set_axisbelow(True)
    unit = "100 MB" if area == "memory" else "100 million parameters"
    legend_size = 1e8 / 4e5 if area == "memory" else 1e8 / 1e5
    axes.scatter([], [], s=legend_size, color="white", edgecolor="black", label=unit)
    axes.legend(loc="lower right", frameon=False, labelspacing=1.6, borderpad=1.4)
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(lambda tick, _: f"{tick:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())


# Okabe and Ito, 2008: distinguishable with every kind of color vision.
_COLORS = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#D55E00",
    "#F0E442",
    "#999999",
    "#332288",
)


def _family(name: str) -> str:
    # "resnet18" and "resnet20_cifar" are both of the family "resnet".
    return re.split(r"[\d_]", name)[0]


def _label(figure: Any, axes: Any, places: Sequence[tuple[float, float, float, str]]) -> None:
    """Writes a name beside each point where it covers no other name and no other point."""
    with installed_with("report"):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.text import Text

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    circles: list[tuple[float, float, float]] = []
    for x, y, radius, _ in places:
        across, up = axes.transData.transform((x, y))
        circles.append((across, up, radius * figure.dpi / 72))
    taken: list[Any] = []
    for x, y, radius, name in places:
        best = None
        for distance in (radius + 2, radius + 12, radius + 26, radius + 44, radius + 66):
            for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1)):
                reach = distance * (0.75 if dx and dy else 1)
                text = axes.annotate(
                    name,
                    (x, y),
                    xytext=(dx * reach, dy * reach),
                    textcoords="offset points",
                    ha=("center", "left", "right")[dx],
                    va=("center", "bottom", "top")[dy],
                    fontsize=8.5,
                    arrowprops={
                        "arrowstyle": "-",
                        "linewidth": 0.5,
                        "alpha": 0.6 if distance > radius + 2 else 0,
                    },
                )
                # matplotlib places an annotation only when it is drawn.
                text.update_positions(renderer)
                # The extent of the words, without the line to the point.
                box: Any = Text.get_window_extent(text, renderer)
                frame = axes.get_window_extent(renderer)
                free = not any(box.overlaps(other) for other in taken)
                clear = not any(_covers(box, *circle) for circle in circles)
                inside = frame.x0 <= box.x0 and box.x1 <= frame.x1
                inside = inside and frame.y0 <= box.y0 and box.y1 <= frame.y1
                if free and clear and inside:
                    best = box
                    break
                text.remove()
            if best is not None:
                break
        if best is not None:
            taken.append(best)


def _covers(box: Any, x: float, y: float, radius: float) -> bool:
    """Returns whether a box covers a part of a circle; touching its rim is allowed."""
    dx = max(box.x0 - x, 0, x - box.x1)
    dy = max(box.y0 - y, 0, y - box.y1)
    # A tenth of the radius may be covered: the rim is pale.
    return (dx * dx + dy * dy) ** 0.5 < 0.9 * radius
