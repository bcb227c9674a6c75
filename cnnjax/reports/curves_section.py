"""The page's learning curves: each logged metric, drawn as its task describes."""

from collections.abc import Mapping, Sequence
from typing import Any

from cnnjax.reports.charts import EVALUATED, TRAIN, Line, line_chart
from cnnjax.reports.formats import metric_value, sentence, within_a_sentence
from cnnjax.reports.run_record import RunRecord, metric_names
from cnnjax.tasks.sections import MetricChart


def curves_section(record: RunRecord, curves: Sequence[MetricChart]) -> list[dict[str, Any]]:
    """Returns charts of the metrics by epoch, on training batches and on the evaluated split.

    Args:
        record: the files of the run folder.
        curves: how the task's metrics are drawn; those that were not logged are left out. Empty for
            every metric of the evaluated split.

    Returns:
        Charts, each with a `title`, its `views` as (axis, svg), and a `caption` with the last
        values.
    """
    logged = {name for line in (*record.train, *record.evaluated) for name in line}
    curves = curves or _plain_charts(record)
    return [_metric_chart(record, curve) for curve in curves if curve.metric in logged]


def _plain_charts(record: RunRecord) -> list[MetricChart]:
    return [
        MetricChart(name, sentence(name.replace("_", " ")), log=name == "loss")
        for name in metric_names(record.evaluated or record.train)
    ]


def _metric_chart(record: RunRecord, curve: MetricChart) -> dict[str, Any]:
    name, scale = within_a_sentence(curve.title), 100.0 if curve.percent else 1.0
    unit = ", %" if curve.percent else ""

    def draw(up: str, log: bool, start: float, sign: float) -> str | None:
        """Draws start + sign * metric."""
        lines = []
        for color, logged, shown in (
            (TRAIN, record.train, "training batches"),
            (EVALUATED, record.evaluated, f"{record.split} set"),
        ):
            x, y = metric_points(logged, curve.metric)
            # Without marks, a line of one or two points can hardly be seen.
            few = "." if len(x) < 3 else ""
            marker = few if color == TRAIN else "o"
            y = [scale * (start + sign * value) for value in y]
            lines.append(Line(color, x, y, marker, name=shown))
        return line_chart(
            lines, name=f"curve-{curve.metric}-{up}", across="epoch", up=up + unit, log=log
        )

    views = [("linear", draw(name, False, 0, 1))]
    if curve.log:
        views.insert(0, ("logarithmic", draw(name, True, 0, 1)))
    if curve.also:
        # What is left to 1 shows differences between values close to 1.
        views.append((f"{curve.also}, logarithmic", draw(curve.also, True, 1, -1)))
    return {"title": curve.title, "views": views, "caption": _last_values(record, curve)}


def _last_values(record: RunRecord, curve: MetricChart) -> str:
    parts = []
    for name, lines in (("training", record.train), (record.split, record.evaluated)):
        # The last line that has the metric, which is the chart's last point.
        if values := metric_points(lines, curve.metric)[1]:
            parts.append(f"{name} {metric_value(values[-1], in_percent=curve.percent)}")
    if not record.evaluated:
        parts.append("not yet evaluated")
    return f"At the end: {', '.join(parts)}. {curve.note}".rstrip()


def metric_points(
    lines: Sequence[Mapping[str, Any]], metric: str
) -> tuple[list[float], list[float]]:
    """Returns epochs and values of the lines that have a number for the metric.

    Args:
        lines: lines of the log.
        metric: its name in the log.
    """
    pairs = [
        (float(line["epoch"]), float(line[metric]))
        for line in lines
        if isinstance(line.get(metric), (int, float)) and "epoch" in line
    ]
    return [x for x, _ in pairs], [y for _, y in pairs]
