"""A study's verdict, its comparisons and its outcomes as data for the template."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from cnnjax.reports.compare.outcome_curves import curve_charts
from cnnjax.reports.compare.quality import list_charts
from cnnjax.reports.compare.settings import Setting
from cnnjax.reports.compare.study import StudyResults
from cnnjax.reports.compare.tables import SortedCell, interval_picture, signed
from cnnjax.studies.intervals import mean_and_half

_INTERVAL = ("low", "mean", "high")


def study_section(study: StudyResults, settings: Sequence[Setting]) -> dict[str, Any]:
    """Returns the question, the verdict, the comparisons and the outcomes of a study.

    Args:
        study: what it has found.
        settings: its runs by setting.
    """
    return {
        "study": study,
        "comparisons": [_comparison_row(row, study) for row in study.comparisons],
        "outcomes": _outcome_table(study, settings),
        "charts": list_charts(settings, study.outcomes, study.help),
        "curves": curve_charts(study.curves, study.units, study.help),
    }


def _comparison_row(row: Mapping[str, Any], study: StudyResults) -> dict[str, Any]:
    unit = study.units.get(row["outcome"], "")
    scale, words = (100.0, " %") if unit == "%" else (1.0, f" {unit}" if unit else "")
    shown = {
        "role": row["role"],
        "statement": row["statement"],
        "at_least": f"{scale * row['at_least']:.4g}{words}",
        "decision": row["decision"],
        "picture": None,
        "difference": "",
        "level": "",
    }
    numbers = [float(number) for name in _INTERVAL if (number := row.get(name)) is not None]
    if len(numbers) < len(_INTERVAL) or not all(map(math.isfinite, numbers)):
        return shown
    low, mean, high = numbers
    reach = max(abs(low), abs(high), abs(row["at_least"])) or 1.0
    ends = f"{signed(scale * low)} to {signed(scale * high)}"
    level = row.get("level")
    return shown | {
        "difference": f"{signed(scale * mean)} ({ends}){words}",
        "level": "" if level is None else f"{100 * (1 - level):.3g} %",
        "picture": interval_picture(low, mean, high, reach, row["at_least"]),
    }


def _outcome_table(study: StudyResults, settings: Sequence[Setting]) -> dict[str, Any]:
    """Returns the outcomes that are single numbers: means over seeds, by setting."""
    names = list(
        dict.fromkeys(
            name
            for measured in study.outcomes.values()
            for name, values in measured.items()
            if not isinstance(values[0], list)
        )
    )
    rows = []
    for setting in settings:
        measured = study.outcomes.get(setting.runs[0].setting, {})
        cells = [SortedCell(setting.label, setting.label, setting=setting)]
        for name in names:
            values = [v for v in measured.get(name, ()) if isinstance(v, float | int)]
            cells.append(_outcome_cell(values, study.units.get(name, "")))
        rows.append(cells)
    units = [study.units.get(name, "") for name in names]
    heads = [
        name.replace("_", " ") + (f", {unit}" if unit else "")
        for name, unit in zip(names, units, strict=True)
    ]
    return {"heads": ["setting", *heads], "rows": rows if names else [], "more": ""}


def _outcome_cell(values: Sequence[float], unit: str) -> SortedCell:
    if not values:
        return SortedCell("", "", True)
    mean, half = mean_and_half(values)
    scale, form = (100.0, ".2f") if unit == "%" else (1.0, ".4g")
    text = format(scale * mean, form)
    if math.isfinite(half):
        text += f" ± {scale * half:.2g}"
    return SortedCell(text, repr(mean), True)
