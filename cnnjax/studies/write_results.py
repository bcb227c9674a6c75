"""The files of a study's results: a page, a table and all values."""

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cnnjax.studies.curves import outcome_curves
from cnnjax.studies.page import results_page
from cnnjax.studies.results import Results, numbers_of
from cnnjax.training.folder.write_errors import write_error
from cnnjax.writing import write_json, write_text

RESULTS_FILE = "results.json"
"""All that a study has found, in its folder."""


def write_results(results: Results, workdir: Path) -> Path:
    """Writes `results.md`, `results.csv` and `results.json`; returns the path of the first.

    Args:
        results: what was found.
        workdir: the study's folder.

    Raises:
        RunFolderError: the folder cannot be written.
    """
    page = workdir / "results.md"
    try:
        write_text(workdir / "results.csv", _csv(results))
        write_json(workdir / RESULTS_FILE, _json(results))
        write_text(page, results_page(results) + "\n")
    except OSError as error:
        raise write_error(workdir, error) from error
    return page


def _csv(results: Results) -> str:
    """Returns a line for each finished run, with the outcomes that are single numbers."""
    text = io.StringIO()
    factors = list(results.runs[0].labels)
    numbers = numbers_of(results.outcomes)
    names = list(dict.fromkeys(key for values in numbers.values() for key in values))
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["run", *factors, "seed", *names, "seconds"])
    for run in results.runs:
        if run.name in numbers:
            values = [numbers[run.name].get(name, "") for name in names]
            seconds = f"{results.seconds[run.name]:.1f}"
            writer.writerow([run.name, *run.labels.values(), run.seed, *values, seconds])
    return text.getvalue()


def _json(results: Results) -> dict[str, Any]:
    verdict = results.verdict
    return {
        "question": results.study.question,
        "outcomes": [
            {"name": outcome.name, "unit": outcome.unit, "help": outcome.help}
            for outcome in results.study.outcomes
        ],
        "claim": results.study.rule.claim,
        "verdict": {"decision": verdict.decision, "reason": verdict.reason},
        "comparisons": [
            {
                "role": tested.role,
                **_plain(asdict(tested.comparison)),
                "decision": tested.decision,
                "missing": list(tested.missing),
                **({} if tested.decided is None else _plain(asdict(tested.decided))),
            }
            for tested in verdict.comparisons
        ],
        "rules": list(results.rules),
        "runs": {
            run.name: {
                "labels": dict(run.labels),
                "seed": run.seed,
                "outcomes": results.outcomes.get(run.name),
                "seconds": results.seconds.get(run.name),
                "failure": results.failures.get(run.name),
            }
            for run in results.runs
        },
        "curves": [curve.as_json() for curve in outcome_curves(results)],
        "sources": {
            run.name: {
                "seed": run.seed,
                "metrics": results.source_outcomes.get(run.name),
                "seconds": results.seconds.get(run.name),
                "failure": results.failures.get(run.name),
            }
            for run in results.sources
        },
    }


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns values that JSON has: infinite ones as text."""
    return {
        key: str(value) if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in values.items()
    }
