"""The figures and the curves of a run, from lines of its log."""

import pathlib
import re

import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax.reports.curves_section import curves_section, metric_points
from cnnjax.reports.run_figures import (
    disagreements,
    metric_figures,
    parameter_figure,
    run_figures,
)
from cnnjax.reports.run_record import RunRecord, flat_items, metric_names
from cnnjax.tasks.sections import Figure, MetricChart
from tests.reports.fakes import metrics_line

VARIABLES = {"params": {"a": np.zeros((3, 4), np.float32), "b": jnp.zeros(5, jnp.bfloat16)}}
ACCURACY = MetricChart("accuracy", "Accuracy", percent=True, also="error", note="A note.")


def record(train=(), evaluated=(), split="test", **run):
    return RunRecord(pathlib.Path(), {}, run, train, evaluated, split)


def test_parameters_are_counted_in_their_own_bytes():
    assert parameter_figure(VARIABLES) == Figure("Parameters", "17", "58 bytes")


def test_time_epochs_and_the_median_speed_are_shown():
    train = [metrics_line(5) | {"images_per_second": s} for s in (50.0,)]
    train += [metrics_line(10) | {"images_per_second": 100.0}]
    train += [metrics_line(20) | {"images_per_second": 1000.0}]
    figures = run_figures(record(train, batch_size=10), VARIABLES)
    # 5 steps of 10 images at 50 images a second, 5 at 100 and 10 at 1000.
    assert figures[1] == Figure("Time in training steps", "1.6 s", "2 epochs, 100 images/s")


def test_without_the_batch_size_no_time_is_shown():
    figures = run_figures(record([metrics_line(10)]), VARIABLES)
    assert figures[1] == Figure("Training", "1 epoch", "100 images/s")
    lines = [{"step": 5, "epoch": 2.5, "split": "test", "loss": 1.0}]
    assert run_figures(record((), lines), VARIABLES)[1] == Figure("Training", "2.5 epochs", "")


class Named:
    def lines(self, split, metrics):
        return [(f"{split} {name}", f"{value:.1f}") for name, value in metrics.items()]


def test_metrics_of_the_last_evaluation_are_printed_by_the_task():
    lines = [{"step": s, "split": "test", "loss": float(s), "angle": s / 2} for s in (5, 10)]
    assert metric_figures(record((), lines), Named()) == (
        Figure("Test loss", "10.0"),
        Figure("Test angle", "5.0"),
    )
    assert metric_figures(record([metrics_line(5)]), Named()) == ()


@pytest.mark.parametrize(
    ("logged", "value", "curves", "differs"),
    [
        # Of 100 examples, half of one is rounding and one is not.
        (0.5, 0.504, (ACCURACY,), False),
        (0.5, 0.51, (ACCURACY,), True),
        # Without a curve, a thousandth of the value is rounding.
        (2.0, 2.001, (), False),
        (2.0, 2.01, (), True),
        (float("nan"), 0.5, (ACCURACY,), True),
        (0.5, float("nan"), (ACCURACY,), True),
        (float("nan"), float("nan"), (ACCURACY,), False),
        (float("inf"), 1.0, (), True),
    ],
)
def test_metrics_that_differ_from_the_log_are_named(logged, value, curves, differs):
    run = record((), [metrics_line(20, "test", accuracy=logged)])
    sentences = disagreements(run, 15, {"accuracy": value, "unlogged": 1.0}, curves, 100)
    assert len(sentences) == int(differs)
    if differs:
        assert sentences[0].startswith("The log of step 20 has accuracy ")
        assert "the checkpoint of step 15, which this page shows, gives " in sentences[0]


def test_without_an_evaluation_nothing_differs():
    assert disagreements(record([metrics_line(5)]), 5, {"accuracy": 1.0}, (), 10) == []


def test_points_of_a_metric_leave_out_lines_without_a_number():
    lines = [
        {"epoch": 1, "loss": 2},
        {"epoch": 2},
        {"epoch": 3, "loss": None},
        {"loss": 4.0},
        {"epoch": 5, "loss": 0.5},
    ]
    assert metric_points(lines, "loss") == ([1.0, 5.0], [2.0, 0.5])
    assert metric_points([], "loss") == ([], [])


def _marks(svg, color):
    return len(re.findall(rf"<use [^>]*var\(--c{color}\)", svg))


def test_curves_have_a_point_for_each_evaluation_and_the_last_values():
    run = record(
        [metrics_line(5, accuracy=0.25)],
        [metrics_line(s, "test", accuracy=0.5) for s in (5, 10, 15)],
    )
    (chart,) = curves_section(run, [ACCURACY, MetricChart("missing", "Missing")])
    assert chart["title"] == "Accuracy"
    assert chart["caption"] == "At the end: training 25.00 %, test 50.00 %. A note."
    assert [view for view, _ in chart["views"]] == ["linear", "error, logarithmic"]
    for _, svg in chart["views"]:
        assert (_marks(svg, 1), _marks(svg, 2)) == (1, 3)


def test_a_perfect_accuracy_has_no_error_to_draw():
    (chart,) = curves_section(record((), [metrics_line(5, "test", accuracy=1.0)]), [ACCURACY])
    assert chart["views"][0][1] is not None and chart["views"][1] == ("error, logarithmic", None)


def test_metrics_that_are_nan_are_left_out_of_the_curve():
    lines = [metrics_line(s, loss=v) for s, v in ((5, 1.0), (10, float("nan")), (15, 2.0))]
    chart = curves_section(record(lines), [MetricChart("loss", "Loss", log=True)])[0]
    assert [view for view, _ in chart["views"]] == ["logarithmic", "linear"]
    assert chart["caption"] == "At the end: training 2, not yet evaluated."
    diverged = curves_section(record(lines[1:2]), [MetricChart("loss", "Loss")])[0]
    assert diverged["views"] == [("linear", None)]
    assert diverged["caption"] == "At the end: training nan, not yet evaluated."


def test_without_curves_of_the_task_every_metric_has_one():
    charts = curves_section(record((), [metrics_line(5, "test")]), ())
    assert [chart["title"] for chart in charts] == ["Loss", "Accuracy", "Top5 error"]
    assert curves_section(record((), []), ()) == []


def test_metric_names_leave_out_what_is_of_the_run():
    lines = [metrics_line(5), {"step": 6, "note": "x", "angle": 1.0, "waiting_share": 0.5}]
    assert metric_names(lines) == ["loss", "accuracy", "top5_error", "angle"]


@pytest.mark.parametrize(
    ("tree", "items"),
    [
        ({}, []),
        ({"a": None, "b": "", "c": [], "d": {}, "e": ()}, []),
        ({"a": 0, "b": False, "c": 0.0}, [("a", "0"), ("b", "no"), ("c", "0")]),
        ({"a": [[1, 2], [3]]}, [("a", "1, 2, 3")]),
        ({"a": [{"b": 1}, {"b": 2}]}, [("a.1.b", "1"), ("a.2.b", "2")]),
        ({"a": float("nan"), "b": 1 / 3}, [("a", "nan"), ("b", "0.333333")]),
    ],
)
def test_settings_are_flat_and_readable(tree, items):
    assert flat_items(tree) == items
