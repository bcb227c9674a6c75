"""The page that shows a training run: gathered here, written as one file that opens offline."""

import importlib.util
import os
import pathlib
import re
from typing import Any

import jax
import numpy as np

from cnnjax import data
from cnnjax.reports.analysis_section import analyse
from cnnjax.reports.charts import accuracy_chart, error_chart, loss_chart
from cnnjax.reports.course_section import course_section
from cnnjax.reports.network_section import activation_section, kernel_section
from cnnjax.reports.outcome import Outcome
from cnnjax.reports.outcome_calibration import calibration_section
from cnnjax.reports.outcome_section import class_section, confusion_section, pictured_images
from cnnjax.reports.run_record import RunRecord, flat_items, read_run_record
from cnnjax.training import load_run


def check_installed() -> None:
    """Makes sure that what the report is made with is installed.

    Raises:
      ImportError: matplotlib or jinja2, the extra `[report]`, is missing.
    """
    missing = [name for name in ("jinja2", "matplotlib") if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(
            f"the report needs {' and '.join(missing)}, which "
            f"{'is' if len(missing) == 1 else 'are'} not installed; install with "
            'pip install "cnnjax[report]"'
        )


def write_report(
    workdir: str | os.PathLike,
    *,
    analysis: bool = False,
    data_dir: str | None = None,
    inputs: data.ReadOptions = data.ReadOptions(),  # noqa: B008 (it cannot be changed)
) -> pathlib.Path:
    """Writes `report.html` into a run folder: one file, without links to anything outside it.

    Args:
      workdir: the folder of a training run.
      analysis: whether the network is analysed too: what it costs, what it looks at and how it
        behaves. It takes longer.
      data_dir: TFDS data folder, None for TFDS's default.
      inputs: how images are read that are not in memory.

    Returns:
      The path of the page.

    Raises:
      ImportError: matplotlib or jinja2, the extra `[report]`, is not installed.
      RunFolderError: `workdir` holds no run, no metrics yet, or a damaged file.
      CheckpointError: no checkpoint of the run can be trusted.
    """
    check_installed()
    record = read_run_record(workdir)
    loaded = load_run(record.workdir, data_dir=data_dir, inputs=inputs)
    page = render(record, loaded, analysis=analysis)
    return _write_whole(record.workdir / "report.html", page)


def render(record: RunRecord, loaded: Any, *, analysis: bool = False) -> str:
    """The page as text.

    Args:
      record: what the run folder says.
      loaded: the trained network and the test set, as `cnnjax.training.load_run` returns them.
      analysis: whether the network is analysed too.

    Returns:
      A complete HTML document.

    Raises:
      ImportError: matplotlib or jinja2 is not installed.
    """
    check_installed()
    import jinja2

    examples, probabilities = loaded.judge_evaluated()
    images = data.lazy_images(examples)  # maybe not in memory: decoded where it is indexed
    outcome = Outcome(
        probabilities, np.asarray(examples.column("label")), tuple(loaded.class_names)
    )
    example = _example(outcome)
    inputs = np.asarray(loaded.preprocess(images[example : example + 1]))
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("cnnjax.reports"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters.update(
        percent=_percent, compact=_compact, duration=_duration, breakable=_breakable
    )
    return environment.get_template("report.html").render(
        run=record.run,
        title=_title(record),
        long_names=max(map(len, outcome.class_names)) > 3,
        headline=_headline(record, loaded, outcome),
        charts=[
            {
                "name": "loss",
                "views": [
                    ("logarithmic", loss_chart(record, log=True)),
                    ("linear", loss_chart(record, log=False)),
                ],
            },
            {
                "name": "accuracy",
                "views": [
                    ("linear", accuracy_chart(record)),
                    ("error, logarithmic", error_chart(record)),
                ],
            },
        ],
        last_train=record.train[-1] if record.train else None,
        last_evaluated=record.evaluated[-1] if record.evaluated else None,
        split=record.split,
        course=course_section(record),
        confusion=confusion_section(outcome),
        classes=class_section(outcome),
        calibration=calibration_section(outcome),
        mistakes=pictured_images(outcome, images, outcome.mistakes()),
        narrowest=pictured_images(outcome, images, outcome.narrowest()[:8]),
        kernels=kernel_section(loaded.model, loaded.variables, inputs),
        activations=activation_section(
            loaded.model, loaded.variables, inputs, images[example], outcome, example
        ),
        analysis=analyse(loaded, images, outcome) if analysis else None,
        config=flat_items(record.config),
        environment=flat_items(record.run),
    )


def _example(outcome: Outcome) -> int:
    """The image shown on its way through the network: the rightly named one of most certainty."""
    certainty = outcome.probabilities.max(axis=1)
    return int(np.argmax(np.where(outcome.predicted == outcome.labels, certainty, certainty - 1)))


def _title(record: RunRecord) -> tuple[str, str]:
    """The names of the model and the dataset, as far as the run tells them."""

    return record.run.get("model", "a network"), record.run.get("dataset", "a dataset")


def _headline(record: RunRecord, loaded: Any, outcome: Outcome) -> dict[str, Any]:
    """The figures at the head of the page, and a warning where two sources disagree."""
    total = len(outcome.labels)
    accuracy = outcome.right / total
    logged = record.evaluated[-1] if record.evaluated else {}
    warning = None
    if "accuracy" in logged and abs(logged["accuracy"] - accuracy) * total > 0.5:
        warning = (
            f"The metrics of step {logged['step']} say {_percent(logged['accuracy'])} on the "
            f"{record.split} set; the checkpoint of step {loaded.step}, which this page shows, "
            f"gives {_percent(accuracy)}."
        )
    lines = [*record.train, *record.evaluated]
    speeds = [line["images_per_second"] for line in record.train if "images_per_second" in line]
    return {
        "accuracy": accuracy,
        "right": outcome.right,
        "total": total,
        "top5_error": outcome.top5_misses / total,
        "top5_misses": outcome.top5_misses,
        "classes": len(outcome.class_names),
        "parameters": sum(
            int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(loaded.variables["params"])
        ),
        "seconds": record.training_seconds,
        "speed": float(np.median(speeds)) if speeds else None,
        "epochs": max(float(line.get("epoch", 0)) for line in lines),
        "step": int(loaded.step),
        "warning": warning,
    }


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def _compact(value: float) -> str:
    """A number with three significant digits."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _breakable(name: str) -> Any:
    """A dotted name that may be broken after its dots and underscores, escaped for HTML."""
    import markupsafe

    parts = re.split(r"(?<=[._])", name)
    return markupsafe.Markup("<wbr>").join(parts)


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def _write_whole(path: pathlib.Path, text: str) -> pathlib.Path:
    """Writes all of the file or nothing, so that a reader never meets half a page."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    return partial.replace(path)
