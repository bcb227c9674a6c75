"""The figures of the run itself, and where its log and its network disagree."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from cnnjax.reports.formats import compact, duration, metric_value, sentence, size
from cnnjax.reports.run_record import RunRecord, metric_names
from cnnjax.tasks.sections import Figure, MetricChart

# Metrics that are no shares agree where they are this close: batches round otherwise.
_ROUNDING = 1e-3


def run_figures(record: RunRecord, variables: Mapping[str, Any]) -> tuple[Figure, Figure]:
    """How large the network is, and how long it was trained.

    Args:
        record: what the run folder says.
        variables: the network's.
    """
    parameters = parameter_figure(variables)
    lines = [*record.train, *record.evaluated]
    number = max(float(line.get("epoch", 0)) for line in lines)
    epochs = f"{compact(number)} {'epoch' if number == 1 else 'epochs'}"
    speeds = [line["images_per_second"] for line in record.train if "images_per_second" in line]
    speed = f", {compact(float(np.median(speeds)))} images/s" if speeds else ""
    seconds = record.training_seconds
    if seconds is None:
        return parameters, Figure("Training", epochs, speed.removeprefix(", "))
    return parameters, Figure("Time in training steps", duration(seconds), epochs + speed)


def parameter_figure(variables: Mapping[str, Any]) -> Figure:
    """How many parameters a network has, and what they take in memory.

    Args:
        variables: the network's.
    """
    leaves = jax.tree.leaves(variables["params"])
    count = sum(int(np.prod(leaf.shape)) for leaf in leaves)
    held = sum(int(np.prod(leaf.shape)) * np.dtype(leaf.dtype).itemsize for leaf in leaves)
    return Figure("Parameters", f"{count:,}", size(held))


def metric_figures(record: RunRecord, task: Any) -> tuple[Figure, ...]:
    """The metrics of the last evaluation as the task prints them; none where there was none.

    Args:
        record: what the run folder says.
        task: its `lines` are asked.
    """
    if not record.evaluated:
        return ()
    last = record.evaluated[-1]
    metrics = {name: last[name] for name in metric_names([last])}
    lines = task.lines(record.split, metrics)
    return tuple(Figure(sentence(name), text) for name, text in lines)


def disagreements(
    record: RunRecord,
    step: int,
    metrics: Mapping[str, float],
    curves: Sequence[MetricChart],
    examples: int,
) -> list[str]:
    """Sentences on the metrics of which the log's last value is not that of the network shown.

    Args:
        record: what the run folder says.
        step: the network's step.
        metrics: the network's metrics on the evaluated split.
        curves: how metrics are drawn, which says which are shares.
        examples: the number of evaluated examples, of which a share is made.
    """
    logged = record.evaluated[-1] if record.evaluated else {}
    drawn = {curve.metric: curve for curve in curves}
    sentences = []
    for name, value in metrics.items():
        curve = drawn.get(name) or MetricChart(name, name.replace("_", " "))
        if name not in logged:
            continue
        near = 0.5 / max(examples, 1) if curve.percent else _ROUNDING * (abs(value) + _ROUNDING)
        if abs(logged[name] - value) > near:
            before, now = (
                metric_value(float(v), in_percent=curve.percent) for v in (logged[name], value)
            )
            sentences.append(
                f"The log of step {logged['step']} has {curve.title.lower()} {before} on the "
                f"{record.split} set; the checkpoint of step {step}, which this page shows, gives "
                f"{now}."
            )
    return sentences
