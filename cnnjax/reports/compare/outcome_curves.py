"""A study's outcomes against a factor whose levels are numbers, with their power laws."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cnnjax.reports.charts import Line, line_chart
from cnnjax.reports.compare.settings import line_style
from cnnjax.training.folder.json_files import NUMBER, OBJECT, OBJECTS, TEXT, Table, find_problem
from cnnjax.training.folder.json_files import optional as either

CURVE: Table = {
    "outcome": TEXT,
    "factor": TEXT,
    "name": TEXT,
    "points": OBJECTS,
    "fit": either(OBJECT),
}
_POINT: Table = {"x": NUMBER, "mean": NUMBER, "half": either(NUMBER)}
_FIT: Table = {
    **{name: NUMBER for name in ("alpha", "beta", "gamma", "start", "held_out", "measured")},
    **{name: NUMBER for name in ("predicted", "predicted_low", "predicted_high")},
    "end": either(NUMBER),
}
_DRAWN = ("x", "y", "low", "high")


@dataclass(frozen=True)
class KeyEntry:
    """The look and the name of a line, for the legend.

    Attributes:
        color: see `charts.Line`.
        dash: see `charts.Line`.
        label: its name.
    """

    color: int
    dash: int
    label: str


def curve_charts(
    curves: Sequence[Mapping[str, Any]], units: Mapping[str, str], words: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Returns a chart of each outcome that has curves; entries that are damaged are left out.

    Args:
        curves: entries of a study's results file.
        units: the unit of each outcome.
        words: what each outcome is.
    """
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for curve in curves:
        if _is_sound(curve):
            found.setdefault((curve["outcome"], curve["factor"]), []).append(curve)
    return [
        _chart(place, outcome, factor, lines, units.get(outcome, ""), words.get(outcome, ""))
        for place, ((outcome, factor), lines) in enumerate(found.items())
    ]


def _is_sound(curve: Mapping[str, Any]) -> bool:
    if find_problem(curve, CURVE) or any(find_problem(p, _POINT) for p in curve["points"]):
        return False
    fit = curve["fit"]
    if fit is None:
        return bool(curve["points"])
    drawn = [fit.get(name) for name in _DRAWN]
    if find_problem(fit, _FIT) or not all(isinstance(values, list) for values in drawn):
        return False
    numbers = all(NUMBER.fits(value) for values in drawn for value in values)
    return numbers and len({len(values) for values in drawn}) == 1


def _chart(
    place: int,
    outcome: str,
    factor: str,
    curves: Sequence[Mapping[str, Any]],
    unit: str,
    words: str,
) -> dict[str, Any]:
    scale, shown_unit = (100.0, ", %") if unit == "%" else (1.0, f", {unit}" if unit else "")
    lines, key = [], []
    for number, curve in enumerate(curves):
        color, dash = line_style(number, len(curves))
        label = curve["name"] or outcome.replace("_", " ")
        lines.append(_measured(curve, scale, color, dash, label))
        key.append(KeyEntry(color, dash, label))
        if curve["fit"]:
            lines += _fitted(curve["fit"], scale, color, f"fit of {label}")
    title = outcome.replace("_", " ")
    views = [
        (
            axis,
            line_chart(
                lines,
                name=f"curve-{place}-{outcome}",
                across=factor,
                up=title + shown_unit,
                log=axis != "linear",
                log_across=True,
            ),
        )
        for axis in ("linear", "logarithmic")
    ]
    return {
        "title": f"{title[:1].upper()}{title[1:]} against {factor}",
        "views": [(axis, svg) for axis, svg in views if svg],
        "caption": " ".join(filter(None, [words, _caption(curves)])),
        "key": key,
    }


def _measured(curve: Mapping[str, Any], scale: float, color: int, dash: int, label: str) -> Line:
    points = curve["points"]
    means = [scale * point["mean"] for point in points]
    halves = [scale * (point["half"] or 0.0) for point in points]
    ends = zip(means, halves, strict=True)
    low, high = zip(*((mean - half, mean + half) for mean, half in ends), strict=True)
    return Line(
        color,
        [point["x"] for point in points],
        means,
        name=label,
        # The fit is the line where there is one.
        joined=not curve["fit"],
        dash=dash,
        band=(low, high) if any(halves) and not curve["fit"] else None,
    )


def _fitted(fit: Mapping[str, Any], scale: float, color: int, label: str) -> list[Line]:
    """Returns the fitted curve with its band, and a line where each region ends."""
    y, low, high = ([scale * value for value in fit[name]] for name in ("y", "low", "high"))
    lines = [Line(color, fit["x"], y, "", name=label, band=(low, high))]
    ends = [fit["start"], fit["end"]]
    inside = [end for end in ends if end is not None and fit["x"][0] < end < fit["x"][-1]]
    reach = [min(y), max(y)]
    return lines + [Line(0, [end, end], reach, "") for end in inside]


def _caption(curves: Sequence[Mapping[str, Any]]) -> str:
    if not any(curve["fit"] for curve in curves):
        return "Bands are 95 % intervals over seeds."
    return (
        "The line is a power law with its 95 % band, fitted without the largest size; a dashed "
        "line is where a region of it ends."
    )
