"""Learning curves of several settings: means over seeds, with bands around them."""

from collections.abc import Mapping, Sequence
from typing import Any

from cnnjax.reports.charts import Line, line_chart
from cnnjax.reports.compare.runs import ComparedRun
from cnnjax.reports.compare.settings import Setting
from cnnjax.reports.formats import within_a_sentence
from cnnjax.tasks.sections import MetricChart

# More marks than this would hide the lines.
_MARKED_LINES = 12


def curve_charts(settings: Sequence[Setting], metrics: Sequence[MetricChart]) -> list[dict]:
    """Returns a chart of each metric, with the evaluated split and the training batches as views.

    Args:
        settings: the settings.
        metrics: what is drawn.
    """
    return [chart for metric in metrics if (chart := _chart(settings, metric))["views"]]


def _chart(settings: Sequence[Setting], metric: MetricChart) -> dict[str, Any]:
    splits = dict.fromkeys(
        run.record.split for setting in settings for run in setting.runs if run.record.evaluated
    )
    split = "/".join(splits)
    scale, unit = (100.0, ", %") if metric.percent else (1.0, "")
    name = within_a_sentence(metric.title)

    def draw(which: str, up: str, log: bool, start: float = 0.0, sign: float = 1.0) -> str | None:
        """Draws start + sign * metric."""
        lines = []
        for setting in settings:
            x, mean, low, high = band(setting.runs, metric.metric, which == "evaluated")
            mean, low, high = (
                [scale * (start + sign * value) for value in part] for part in (mean, low, high)
            )
            ends = (low, high) if sign > 0 else (high, low)
            lines.append(
                Line(
                    setting.color,
                    x,
                    mean,
                    _marker(settings, x, which),
                    name=setting.label,
                    dash=setting.dash,
                    band=ends if len(setting.runs) > 1 else None,
                )
            )
        return line_chart(
            lines, name=f"{metric.metric}-{which}-{up}", across="epoch", up=up + unit, log=log
        )

    views = [(split, draw("evaluated", name, False))]
    if metric.log:
        views.append(("logarithmic", draw("evaluated", name, True)))
    if metric.also:
        views.append((f"{metric.also}, logarithmic", draw("evaluated", metric.also, True, 1, -1)))
    views.append(("training", draw("training", name, False)))
    return {
        "title": metric.title,
        "views": [(label, svg) for label, svg in views if svg],
        "caption": ends_note(settings, metric.metric),
    }


def _marker(settings: Sequence[Setting], x: Sequence[float], which: str) -> str:
    # Without a mark, a line of one or two points can hardly be seen.
    if len(x) < 3:
        return "o"
    return "." if which == "evaluated" and len(settings) <= _MARKED_LINES else ""


def band(
    runs: Sequence[ComparedRun], metric: str, evaluated: bool
) -> tuple[list[float], list[float], list[float], list[float]]:
    """Returns epochs, and the mean, the least and the largest value of some runs at each.

    Only steps that all runs have logged count: a mean over those that are left would jump.

    Args:
        runs: runs that differ in their seed alone; those without the metric are left out.
        metric: its name in the log.
        evaluated: whether the values are those of the evaluated split, or of training batches.
    """
    tables = [table for run in runs if (table := _by_step(run, metric, evaluated))]
    if not tables:
        return [], [], [], []
    steps = sorted(set.intersection(*(set(table) for table in tables)))
    epochs = [tables[0][step][0] for step in steps]
    columns = [[table[step][1] for table in tables] for step in steps]
    means = [sum(column) / len(column) for column in columns]
    return epochs, means, [min(column) for column in columns], [max(column) for column in columns]


def _by_step(run: ComparedRun, metric: str, evaluated: bool) -> dict[int, tuple[float, float]]:
    lines: Sequence[Mapping[str, Any]] = run.record.evaluated if evaluated else run.record.train
    return {
        line["step"]: (float(line["epoch"]), float(line[metric]))
        for line in lines
        if metric in line and "epoch" in line
    }


def ends_note(settings: Sequence[Setting], metric: str) -> str:
    """Returns a sentence on settings whose runs were evaluated up to different epochs.

    Args:
        settings: the settings.
        metric: its name in the log.
    """
    early = []
    for setting in settings:
        ends = [max(table) for run in setting.runs if (table := _by_step(run, metric, True))]
        if len(set(ends)) > 1:
            early.append(setting.label)
    if not early:
        return ""
    shown = ", ".join(early[:3]) + (f" and {len(early) - 3} more" if len(early) > 3 else "")
    return f"The runs of {shown} ended at different epochs; the curve ends with the first of them."
