"""The tables of a comparison as data for the template: settings, runs and differences."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cnnjax.analysis.cost.summary import compact
from cnnjax.reports.compare.comparison import Comparison, Difference
from cnnjax.reports.compare.runs import ComparedRun
from cnnjax.reports.compare.settings import Setting, differing_keys, short_keys, words_of
from cnnjax.reports.formats import duration, within_a_sentence
from cnnjax.tasks.sections import MetricChart, percent
from cnnjax.training.folder.names import REPORT_FILE

# Of more keys, the first ones have columns.
_MOST_KEYS = 10


@dataclass(frozen=True)
class SortedCell:
    """A cell of a table that a reader can sort.

    Attributes:
        text: what it shows.
        value: what it is sorted by: a number as text, or a text; "" comes last.
        number: whether it is aligned as a number.
        link: a relative address; "" for none.
        setting: the setting whose color and dash are shown before the text; None for none.
        title: shown under the pointer.
    """

    text: str
    value: str = ""
    number: bool = False
    link: str = ""
    setting: Setting | None = None
    title: str = ""


def shown_value(value: float, metric: MetricChart, digits: int = 2) -> str:
    """Returns a metric's value as text.

    Args:
        value: the value.
        metric: how the metric is shown.
        digits: decimals of a share in per cent.
    """
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else "infinite"
    return percent(value, digits=digits) if metric.percent else f"{value:.4g}"


def setting_table(comparison: Comparison) -> dict[str, Any]:
    """Returns the settings with the means over their seeds, and half the lengths of intervals.

    Args:
        comparison: the runs.
    """
    keys = _keys(comparison)
    # A label that repeats the columns beside it is left out.
    named = any(setting.label != words_of(setting.values) for setting in comparison.settings)
    heads = [*_heads(comparison, keys), "seeds", *_metric_heads(comparison)]
    heads = ["setting", *heads] if named else heads
    rows = []
    for setting in comparison.settings:
        cells = [SortedCell(setting.label, setting.label, setting=setting)] if named else []
        cells += [_text_cell(setting.values[key]) for key in keys]
        if not named:
            cells[0] = replace(cells[0], setting=setting)
        cells.append(SortedCell(_seed_words(setting), str(len(setting.runs)), True))
        for metric in comparison.metrics:
            mean, half = setting.mean(metric.metric)
            cells.append(_mean_cell(mean, half, metric))
        rows.append(cells)
    return {"heads": heads, "rows": rows, "more": _more_keys(comparison)}


def run_table(comparison: Comparison, page: Path) -> dict[str, Any]:
    """Returns all runs with their results, and links to their reports.

    Args:
        comparison: the runs.
        page: the page's file, to which links are relative.
    """
    keys = [] if _has_repeats(comparison) else _keys(comparison)
    extra = _differing_facts(comparison.runs)
    heads = [
        *("run", *_heads(comparison, keys), "seed", *_metric_heads(comparison)),
        *("epochs", "state", "time in steps", "multiply-adds × images", *extra),
    ]
    rows = []
    for setting in comparison.settings:
        for run in setting.runs:
            cells = [_run_cell(run, setting, page)]
            cells += [_text_cell(setting.values[key]) for key in keys]
            cells.append(
                SortedCell("", "", True)
                if run.seed is None
                else SortedCell(str(run.seed), str(run.seed), True)
            )
            for metric in comparison.metrics:
                value = run.results.get(metric.metric)
                cells.append(
                    SortedCell("", "", True)
                    if value is None
                    else SortedCell(shown_value(value, metric), _sort_key(value), True)
                )
            cells += [*_course_cells(run), *(_text_cell(_fact(run, name)) for name in extra)]
            rows.append(cells)
    return {"heads": heads, "rows": rows, "more": "" if keys else _more_keys(comparison)}


def difference_tables(comparison: Comparison) -> list[dict[str, Any]]:
    """Returns a table of paired differences of each metric that has any.

    Args:
        comparison: the runs.
    """
    tables = []
    for metric in comparison.metrics:
        found = [one for one in comparison.differences(metric.metric) if one.decided is not None]
        if not found:
            continue
        ends = [(one.decided.low, one.decided.high) for one in found if one.decided]
        reach = max(max(abs(low), abs(high)) for low, high in ends) or 1.0
        tables.append(
            {
                "title": metric.title,
                "unit": "percentage points" if metric.percent else "",
                "rows": [_difference_row(one, metric, reach) for one in found],
            }
        )
    return tables


def _difference_row(one: Difference, metric: MetricChart, reach: float) -> dict[str, Any]:
    decided = one.decided
    if decided is None:
        raise ValueError("one: the difference has no interval; give one that has")
    scale = 100.0 if metric.percent else 1.0
    low, mean, high = (scale * value for value in (decided.low, decided.mean, decided.high))
    seeds = ", ".join(map(str, sorted(one.values)))
    return {
        "first": one.first,
        "second": one.second,
        "seeds": str(len(one.values)),
        "seed_names": f"seeds {seeds}",
        "mean": SortedCell(signed(mean), _sort_key(mean), True),
        "low": signed(low),
        "high": signed(high),
        "together": one.together,
        "picture": interval_picture(decided.low, decided.mean, decided.high, reach),
    }


def signed(value: float) -> str:
    """Returns a difference with its sign.

    Args:
        value: the difference.
    """
    if not math.isfinite(value):
        return str(value)
    return f"{value:+.3g}".replace("-", "−") if value else "0"


def interval_picture(
    low: float, mean: float, high: float, reach: float, mark: float | None = None
) -> dict[str, float | None]:
    """Returns the places of an interval, its mean and an effect size, in per cent of a width.

    Args:
        low: lower end.
        mean: the mean.
        high: upper end.
        reach: the value at the right end; the left end is its negative, and 0 is in the middle.
        mark: the effect size; None for none.
    """

    def place(value: float) -> float:
        return round(50 + 50 * max(-1.0, min(1.0, value / reach)), 2)

    return {
        "low": place(low),
        "mean": place(mean),
        "high": place(high),
        "mark": None if mark is None else place(mark),
    }


def _has_repeats(comparison: Comparison) -> bool:
    return len(comparison.settings) < len(comparison.runs)


def _keys(comparison: Comparison) -> list[str]:
    return differing_keys(comparison.runs)[:_MOST_KEYS]


def _more_keys(comparison: Comparison) -> str:
    left = differing_keys(comparison.runs)[_MOST_KEYS:]
    return f"Further keys that differ: {', '.join(left)}." if left else ""


def _heads(comparison: Comparison, keys: Sequence[str]) -> list[str]:
    return short_keys(differing_keys(comparison.runs))[: len(keys)]


def _metric_heads(comparison: Comparison) -> list[str]:
    splits = {run.record.split for run in comparison.runs if run.results}
    split = f"{splits.pop()} " if len(splits) == 1 else ""
    return [split + within_a_sentence(metric.title) for metric in comparison.metrics]


def _seed_words(setting: Setting) -> str:
    count = len(setting.runs)
    seeds = ", ".join(map(str, setting.seeds))
    return f"{count} ({seeds})" if seeds and len(seeds) < 16 else str(count)


def _mean_cell(mean: float, half: float, metric: MetricChart) -> SortedCell:
    if math.isnan(mean):
        return SortedCell("", "", True)
    text = shown_value(mean, metric)
    if math.isfinite(half):
        width = f"{100 * half:.2f}" if metric.percent else f"{half:.2g}"
        text = f"{text} ± {width}"
    return SortedCell(text, _sort_key(mean), True)


def _run_cell(run: ComparedRun, setting: Setting, page: Path) -> SortedCell:
    report = run.record.workdir / REPORT_FILE
    link = relative_link(report, page) if report.is_file() else ""
    title = "" if link else f"no report yet: cnnjax report --workdir={run.record.workdir}"
    return SortedCell(run.name, run.name, link=link, setting=setting, title=title)


def relative_link(target: Path, page: Path) -> str:
    """Returns a file's address relative to a page's folder.

    Args:
        target: the file.
        page: the page.
    """
    path = os.path.relpath(os.path.realpath(target), os.path.realpath(page.parent))
    return quote(os.fsencode(path))


def _course_cells(run: ComparedRun) -> list[SortedCell]:
    seconds, cost = run.record.training_seconds, run.cost
    return [
        SortedCell(f"{run.epochs:.3g}", _sort_key(run.epochs), True),
        _text_cell(run.state),
        SortedCell("", "", True)
        if seconds is None
        else SortedCell(duration(seconds), _sort_key(seconds), True),
        SortedCell("", "", True)
        if cost is None
        else SortedCell(
            compact(cost.total),
            _sort_key(cost.total),
            True,
            title=f"{cost.multiply_adds:,} × {cost.images:,}",
        ),
    ]


def _sort_key(value: float) -> str:
    return repr(float(value)) if math.isfinite(value) else ""


def _text_cell(text: str) -> SortedCell:
    return SortedCell(text, text)


_FACTS = ("devices", "commit")
"""Circumstances in `run.json` that are shown where they differ between runs."""


def _differing_facts(runs: Sequence[ComparedRun]) -> list[str]:
    return [name for name in _FACTS if len({_fact(run, name) for run in runs}) > 1]


def _fact(run: ComparedRun, name: str) -> str:
    value = run.record.run.get(name)
    text = value if isinstance(value, str) else ""
    return text[:10] if name == "commit" else text
