"""The figures of the run itself, and the metrics that differ between its log and its network."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from cnnjax.reports.formats import (
    compact,
    duration,
    metric_value,
    sentence,
    size,
    within_a_sentence,
)
from cnnjax.reports.run_record import RunRecord, metric_names
from cnnjax.tasks.sections import Figure, MetricChart

# Metrics that are not shares agree up to this: sums over other batches round differently.
_ROUNDING = 1e-3


def run_figures(record: RunRecord, variables: Mapping[str, Any]) -> tuple[Figure, Figure]:
    """Returns how large the network is, and how long it was trained.

    Args:
        record: the files of the run folder.
        variables: the network's variables.
    """
    parameters = parameter_figure(variables)
    lines = [*record.train, *record.evaluated]
    number = max((float(line.get("epoch", 0)) for line in lines), default=0.0)
    epochs = f"{compact(number)} {'epoch' if number == 1 else 'epochs'}"
    speeds = [line["images_per_second"] for line in record.train if "images_per_second" in line]
    # The median is not changed by a few slow intervals.
    speed = f", {compact(float(np.median(speeds)))} images/s" if speeds else ""
    seconds = record.training_seconds
    if seconds is None:
        return parameters, Figure("Training", epochs, speed.removeprefix(", "))
    return parameters, Figure("Time in training steps", duration(seconds), epochs + speed)


def parameter_figure(variables: Mapping[str, Any]) -> Figure:
    """Returns how many parameters a network has, and how much memory they take.

    Args:
        variables: the network's variables.
    """
    leaves = jax.tree.leaves(variables["params"])
    count = sum(int(np.prod(leaf.shape)) for leaf in leaves)
    held = sum(int(np.prod(leaf.shape)) * np.dtype(leaf.dtype).itemsize for leaf in leaves)
    return Figure("Parameters", f"{count:,}", size(held))


def metric_figures(record: RunRecord, task: Any) -> tuple[Figure, ...]:
    """Returns the metrics of the last evaluation as the task prints them; none without one.

    Args:
        record: the files of the run folder.
        task: the task, whose `lines` name and format the metrics.
    """
    if not record.evaluated:
        return ()
    last = record.evaluated[-1]
    metrics = {name: last[name] for name in metric_names([last])}
    try:
        lines = task.lines(record.split, metrics)
    except KeyError:
        # A damaged line may lack a metric that the task formats.
        lines = [(name.replace("_", " "), f"{value:.6g}") for name, value in metrics.items()]
    return tuple(Figure(sentence(name), text) for name, text in lines)


def disagreements(
    record: RunRecord,
    step: int,
    metrics: Mapping[str, float],
    curves: Sequence[MetricChart],
    examples: int,
) -> list[str]:
    """Returns sentences on metrics whose last logged value is not that of the network shown.

    Args:
        record: the files of the run folder.
        step: the network's step.
        metrics: the network's metrics on the evaluated split.
        curves: how metrics are drawn; those in per cent are shares.
        examples: the number of evaluated examples, the denominator of a share.

    Returns:
        A sentence for each metric that differs by more than rounding.
    """
    logged = record.evaluated[-1] if record.evaluated else {}
    drawn = {curve.metric: curve for curve in curves}
    sentences = []
    for name, value in metrics.items():
        curve = drawn.get(name) or MetricChart(name, name.replace("_", " "))
        if name not in logged:
            continue
        near = 0.5 / max(examples, 1) if curve.percent else _ROUNDING * (abs(value) + _ROUNDING)
        # NaN differs from every number, and agrees with NaN.
        if not np.isclose(logged[name], value, rtol=0, atol=near, equal_nan=True):
            before, now = (
                metric_value(float(v), in_percent=curve.percent) for v in (logged[name], value)
            )
            title = within_a_sentence(curve.title)
            sentences.append(
                f"The log of step {logged['step']} has {title} {before} on the "
                f"{record.split} set; the checkpoint of step {step}, which this page shows, gives "
                f"{now}."
            )
    return sentences
