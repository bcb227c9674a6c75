"""Cost against quality: each setting as a point, its training's cost by its result."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cnnjax.reports.charts import Line, line_chart
from cnnjax.reports.compare.runs import ComparedRun
from cnnjax.reports.compare.settings import Setting
from cnnjax.reports.formats import within_a_sentence
from cnnjax.tasks.sections import MetricChart

_MARKERS = ("o", "s", "^", "D")


def cost_charts(settings: Sequence[Setting], metrics: Sequence[MetricChart]) -> list[dict]:
    """Returns for each metric a chart against multiply-adds, and against time.

    Args:
        settings: the settings.
        metrics: what is drawn.
    """
    measures: tuple[tuple[str, str, Callable[[ComparedRun], float | None]], ...] = (
        ("multiply-adds", "multiply-adds × images", lambda run: run.cost and run.cost.total),
        ("time", "seconds in training steps", lambda run: run.record.training_seconds),
    )
    charts = []
    for metric in metrics:
        views = [
            (label, _draw(settings, metric, label, across, measure))
            for label, across, measure in measures
        ]
        views = [(label, svg) for label, svg in views if svg]
        if views:
            charts.append({"title": metric.title, "views": views, "caption": ""})
    return charts


def _draw(
    settings: Sequence[Setting],
    metric: MetricChart,
    label: str,
    across: str,
    measure: Callable[[ComparedRun], float | None],
) -> str | None:
    scale, unit = (100.0, ", %") if metric.percent else (1.0, "")
    lines = []
    for setting in settings:
        costs = [cost for run in setting.runs if (cost := measure(run))]
        mean = setting.mean(metric.metric)[0]
        if not costs or math.isnan(mean):
            continue
        lines.append(
            Line(
                setting.color,
                [sum(costs) / len(costs)],
                [scale * mean],
                _MARKERS[setting.dash] if setting.color else "x",
                joined=False,
                name=setting.label,
            )
        )
    return line_chart(
        lines,
        name=f"cost-{label}-{metric.metric}",
        across=across,
        up=within_a_sentence(metric.title) + unit,
        log_across=True,
    )


def list_charts(
    settings: Sequence[Setting],
    outcomes: Mapping[str, Mapping[str, Sequence[Any]]],
    words: Mapping[str, str],
) -> list[dict]:
    """Returns a chart of each outcome that is a list of numbers, such as one for each layer.

    Args:
        settings: the settings, whose runs belong to the settings of a study.
        outcomes: by setting and outcome, what was measured of each run.
        words: what each outcome is.
    """
    names = dict.fromkeys(
        name
        for measured in outcomes.values()
        for name, values in measured.items()
        if isinstance(values[0], list)
    )
    charts = []
    for name in names:
        lines = []
        for setting in settings:
            rows = outcomes.get(setting.runs[0].setting, {}).get(name, [])
            rows = [row for row in rows if isinstance(row, list)]
            # Lists of different lengths have no mean.
            if not rows or len({len(row) for row in rows}) > 1:
                continue
            columns = list(zip(*rows, strict=True))
            lines.append(
                Line(
                    setting.color,
                    list(range(1, len(columns) + 1)),
                    [sum(column) / len(column) for column in columns],
                    "." if len(columns) < 60 else "",
                    name=setting.label,
                    dash=setting.dash,
                    band=(list(map(min, columns)), list(map(max, columns)))
                    if len(rows) > 1
                    else None,
                )
            )
        title = name.replace("_", " ")
        views = [
            (axis, line_chart(lines, name=f"outcome-{name}", across="place", up=title, log=log))
            for axis, log in (("logarithmic", True), ("linear", False))
        ]
        views = [(axis, svg) for axis, svg in views if svg]
        if views:
            charts.append(
                {
                    "title": title[:1].upper() + title[1:],
                    "views": views,
                    "caption": words.get(name, ""),
                }
            )
    return charts
