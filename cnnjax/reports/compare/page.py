"""The page that compares runs, in one file that opens offline."""

import os
from collections.abc import Sequence
from pathlib import Path

from cnnjax import inference
from cnnjax.analysis.cost.summary import compact
from cnnjax.reports.compare.comparison import Comparison, read_comparison
from cnnjax.reports.compare.curves import curve_charts
from cnnjax.reports.compare.quality import cost_charts
from cnnjax.reports.compare.study import is_study
from cnnjax.reports.compare.study_section import study_section
from cnnjax.reports.compare.tables import difference_tables, run_table, setting_table
from cnnjax.reports.formats import duration
from cnnjax.reports.template import check_installed, fill
from cnnjax.tasks.sections import Figure
from cnnjax.writing import write_text

PAGE_FILE = "comparison.html"
"""The page's name: in a study's folder, or in the current folder."""


def write_comparison(
    folders: Sequence[str | os.PathLike],
    output: str | os.PathLike | None = None,
    *,
    data_dir: str | None = None,
) -> Path:
    """Writes a page that compares runs: one file, without requests to anything outside it.

    Runs that differ in their seed alone are one setting, with its mean and a band over its seeds.

    Args:
        folders: of two runs or more, or that of one study.
        output: the HTML file to write; None for `comparison.html`, in the study's folder or in the
            current one.
        data_dir: TFDS data folder, for the sizes of the images; None means TFDS's default.

    Returns:
        The path of the page.

    Raises:
        MissingPackage: a package of the extra `[report]` is missing.
        ConfigError: there are fewer than two runs, a study is given beside others, the runs share
            no metric, or `output` cannot be written.
        RunFolderError: a folder holds neither a run nor a study, its description is damaged, or
            the disk is full.
    """
    check_installed()
    if output is None:
        alone = len(folders) == 1 and is_study(Path(folders[0]))
        output = Path(folders[0], PAGE_FILE) if alone else Path(PAGE_FILE)
    path = inference.check_output(Path(output), [".html"])
    page = render_comparison(read_comparison(folders, data_dir=data_dir), path)
    with inference.output_errors(path):
        write_text(path, page)
    return path


def render_comparison(comparison: Comparison, page: Path) -> str:
    """Returns the page as text.

    Args:
        comparison: what it shows.
        page: the file that it is written to, to which links are relative.
    """
    settings, study = comparison.settings, comparison.study
    repeats = len(comparison.runs) > len(settings)
    return fill(
        "compare.html",
        title=study.question if study else _title(comparison),
        subject="" if study else _subject(comparison),
        figures=_figures(comparison),
        notes=comparison.notes,
        settings=settings,
        study=study_section(study, settings) if study else None,
        curves=curve_charts(settings, comparison.drawn),
        repeats=repeats,
        results=setting_table(comparison) if repeats else None,
        runs=run_table(comparison, page),
        differences=difference_tables(comparison),
        against_first=len(settings) > 4,
        costs=cost_charts(settings, comparison.drawn),
        unlinked=any(not (run.record.workdir / "report.html").is_file() for run in comparison.runs),
    )


def _title(comparison: Comparison) -> str:
    count, settings = len(comparison.runs), len(comparison.settings)
    if settings == count:
        return f"{count} runs"
    return f"{count} runs of {settings} setting{'' if settings == 1 else 's'}"


def _subject(comparison: Comparison) -> str:
    """Returns network and dataset in words, where they are those of all runs."""
    pairs = {
        (run.record.run.get("model"), run.record.run.get("dataset")) for run in comparison.runs
    }
    model, dataset = pairs.pop()
    named = isinstance(model, str) and isinstance(dataset, str)
    return f"{model} on {dataset}" if named and not pairs else ""


def _figures(comparison: Comparison) -> list[Figure]:
    runs, settings, study = comparison.runs, comparison.settings, comparison.study
    figures = []
    if study and study.decision:
        note = f"{study.finished} of {study.planned} runs finished"
        figures.append(Figure("Verdict", study.decision, note))
    seeds = {len(setting.runs) for setting in settings}
    each = f"{min(seeds)} to {max(seeds)}" if len(seeds) > 1 else str(min(seeds))
    unit = "seed" if seeds == {1} else "seeds"
    figures.append(Figure("Runs", str(len(runs)), f"{len(settings)} settings, {each} {unit} each"))
    seconds = [run.record.training_seconds for run in runs]
    known = [value for value in seconds if value is not None]
    if known:
        note = "" if len(known) == len(runs) else f"of {len(known)} runs"
        figures.append(Figure("Time in training steps", duration(sum(known)), note))
    products = [run.cost.total for run in runs if run.cost]
    if products:
        note = "" if len(products) == len(runs) else f"of {len(products)} runs"
        figures.append(Figure("Multiply-adds × images", compact(sum(products)), note))
    return figures
