"""The page that shows a training run: its sections, in one file that opens offline."""

import os
import pathlib
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from cnnjax import data, inference, training
from cnnjax.reports.analysis_section import analyze
from cnnjax.reports.course_section import course_section
from cnnjax.reports.curves_section import curves_section
from cnnjax.reports.network_section import activation_section, diagram_section, kernel_section
from cnnjax.reports.run_figures import disagreements, metric_figures, run_figures
from cnnjax.reports.run_record import RunRecord, flat_items, read_run_record
from cnnjax.reports.task_sections import draw_section
from cnnjax.reports.template import check_installed, fill
from cnnjax.tasks.sections import Evaluated, Example, Section, TaskReport
from cnnjax.training.folder.names import REPORT_FILE
from cnnjax.writing import write_text

_OWN_ANCHORS = (
    *(
        "curves",
        "course",
        "network",
        "kernels",
        "activations",
        "cost",
        "looking",
        "invariance",
        "health",
    ),
    *("embedding", "settings"),
)


def write_report(
    workdir: str | os.PathLike,
    *,
    step: int | None = None,
    analysis: bool = False,
    run: training.Run | str | None = None,
    data_dir: str | None = None,
    read: data.ReadOptions = data.ReadOptions(),  # noqa: B008 (it cannot be changed)
    reload_seconds: int | None = None,
) -> pathlib.Path:
    """Writes `report.html` into a run folder: one file, without links to anything outside it.

    Args:
        workdir: the folder of a training run.
        step: the checkpoint's step; None for the newest that can be trusted.
        analysis: whether the network is analyzed too: what it costs, what it looks at and how it
            behaves. This takes longer.
        run: the run, if it was made in Python, or the path of a function that makes it.
        data_dir: TFDS data folder; None for TFDS's default.
        read: how images are read that are not in memory.
        reload_seconds: after how long an open page reloads itself, while the run is trained; None
            for a page that does not.

    Returns:
        The path of the page.

    Raises:
        MissingPackage: a package of the extra `[report]` is missing.
        RunFolderError: `workdir` holds no run or no metrics yet, its `config.json` is damaged, or
            the page cannot be written.
        ConfigError: the run was made in Python, and `run` was not given.
        CheckpointError: there is no checkpoint of that step, or none can be trusted.
    """
    check_installed()
    record = read_run_record(workdir)
    network = inference.load(record.workdir, step, run=run, data_dir=data_dir, read=read)
    page = render(record, network, analysis=analysis, reload_seconds=reload_seconds)
    path = record.workdir / REPORT_FILE
    with inference.output_errors(path):
        write_text(path, page)
    return path


def render(
    record: RunRecord, network: Any, *, analysis: bool = False, reload_seconds: int | None = None
) -> str:
    """Returns the page as text.

    Args:
        record: the files of the run folder.
        network: the trained network, with `task`, `model`, `variables`, `step`, `title`
            (the names of the model and the dataset), `inputs(images)`, and `evaluated()`, which
            returns `cnnjax.tasks.sections.Evaluated`. The page shows the task's
            `report_sections(evaluated)`, its `curves` of the logged metrics, and its `lines` if its
            report has no figures.
        analysis: whether the network is analyzed too.
        reload_seconds: see `write_report`.

    Returns:
        A complete HTML document.

    Raises:
        MissingPackage: a package of the extra `[report]` is missing.
        ValueError: no example was evaluated, or two sections have the same anchor.
    """
    check_installed()
    evaluated: Evaluated = network.evaluated()
    if len(evaluated) == 0:
        raise ValueError(
            f"render: no example of the {evaluated.split} split was evaluated; a page needs one"
        )
    report: TaskReport = network.task.report_sections(evaluated)
    # Checked before any picture is made.
    _check_anchors(report.sections)
    curves = tuple(getattr(network.task, "curves", ()))
    example = report.example or _first(evaluated, network.task)
    image = np.asarray(evaluated.images[np.array([example.place])])
    inputs = np.asarray(network.inputs(image))
    figures = report.figures or metric_figures(record, network.task)
    differing = disagreements(record, network.step, report.metrics, curves, len(evaluated))
    return fill(
        "report.html",
        reload_seconds=reload_seconds,
        run=record.run,
        title=network.title,
        step=int(network.step),
        figures=(*figures, *run_figures(record, network.variables)),
        best=figures[0].value if figures else None,
        warnings=[*record.damage, *differing],
        curves=curves_section(record, curves),
        split=record.split,
        course=course_section(record),
        sections=[draw_section(section) for section in report.sections],
        diagram=diagram_section(network.model, network.variables, inputs, network.title[0]),
        kernels=kernel_section(network.model, network.variables, inputs),
        activations=activation_section(network.model, network.variables, inputs, image[0], example),
        analysis=analyze(network, evaluated) if analysis else None,
        config=flat_items(record.config),
        # The command is shown above the table.
        environment=[item for item in flat_items(record.run) if item[0] != "command"],
    )


def _check_anchors(sections: Sequence[Section]) -> None:
    taken = list(_OWN_ANCHORS)
    for section in sections:
        if section.anchor in taken:
            raise ValueError(
                f"anchor: {section.anchor!r} of the section {section.title!r} is taken on the "
                f"page; give another than {', '.join(taken)}"
            )
        taken.append(section.anchor)


def _first(evaluated: Evaluated, task: Any) -> Example:
    """Returns the first example, with the prediction: for a task that chooses none."""
    prediction = jax.tree.map(lambda leaf: leaf[0], evaluated.predictions)
    name = f"{evaluated.split} image {evaluated.positions[0]}"
    return Example(0, name, heading="prediction", note=task.answer(prediction).line)
