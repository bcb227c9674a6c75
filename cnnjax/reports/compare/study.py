"""A study's folder as a page shows it: its runs, its verdict and what was measured."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnnjax.reports.compare.runs import ComparedRun, Found, damage_notes, has_lines
from cnnjax.reports.run_record import NoMetrics, read_run_record
from cnnjax.studies.folder import STUDY_FILE, StudyFolder
from cnnjax.studies.write_results import RESULTS_FILE
from cnnjax.training.errors import RunFolderError
from cnnjax.training.folder.json_files import (
    NUMBER,
    OBJECT,
    OBJECTS,
    TEXT,
    DamagedFile,
    Table,
    find_problem,
    optional,
    read_json,
)

_RESULTS: Table = {
    "claim": TEXT,
    "verdict": OBJECT,
    "comparisons": OBJECTS,
    "outcomes": optional(OBJECTS),
    "curves": optional(OBJECTS),
    "runs": OBJECT,
}
_VERDICT: Table = {"decision": TEXT, "reason": TEXT}
_COMPARISON: Table = {
    "role": TEXT,
    "statement": TEXT,
    "outcome": TEXT,
    "at_least": NUMBER,
    "decision": TEXT,
    "mean": optional(NUMBER),
    "low": optional(NUMBER),
    "high": optional(NUMBER),
    "level": optional(NUMBER),
}
_RUN_NAME = re.compile(r"(?P<setting>[\w.+-]+)_seed-(?P<seed>\d{1,18})")


@dataclass(frozen=True)
class StudyResults:
    """What a study has found.

    Attributes:
        question: what it asks.
        claim: its claim; "" before its first results.
        decision: the verdict; "" before its first results.
        reason: why, in a sentence.
        comparisons: entries of its results file, the primary one first.
        units: the unit of each outcome, by its name.
        help: what each outcome is, by its name.
        outcomes: by setting and outcome, what was measured of each run.
        curves: entries of its results file on outcomes against a factor.
        finished: the number of runs that the verdict is of.
        planned: the number of runs of the study.
    """

    question: str
    claim: str
    decision: str
    reason: str
    comparisons: Sequence[Mapping[str, Any]]
    units: Mapping[str, str]
    help: Mapping[str, str]
    outcomes: Mapping[str, Mapping[str, Sequence[float | Sequence[float]]]]
    curves: Sequence[Mapping[str, Any]]
    finished: int
    planned: int


def is_study(folder: Path) -> bool:
    """Returns whether a folder is that of a study.

    Args:
        folder: the folder.
    """
    return (folder / STUDY_FILE).is_file()


def read_study(folder: Path) -> tuple[StudyResults, Found]:
    """Reads a study's results and its runs; what is missing or damaged is left out and named.

    Args:
        folder: the study's folder.

    Raises:
        RunFolderError: `study.json` is damaged.
    """
    study = StudyFolder(folder)
    try:
        costs = study.costs()
    except TypeError:
        raise RunFolderError(
            f"workdir: {folder / STUDY_FILE} is damaged: 'runs' holds no costs; it is only a "
            "description: remove it, and start the study again"
        ) from None
    found, absent = Found(), []
    for name, cost in costs.items():
        match = _RUN_NAME.fullmatch(name)
        if match is None:
            continue
        if (why := study.failure(name)) is not None:
            found.notes.append(f"{name} failed: {why}")
        path = study.run(name)
        try:
            record = read_run_record(path)
        except NoMetrics:
            absent.append(name)
            continue
        except RunFolderError as error:
            if path.exists():
                found.notes.append(f"{name} cannot be read and is left out: {error}")
            else:
                absent.append(name)
            continue
        if not has_lines(record):
            found.notes.append(f"{name} is left out: {' '.join(record.damage)}")
            continue
        run = ComparedRun(name, record, int(match["seed"]), match["setting"], cost)
        found.runs.append(run)
    if absent:
        more = f" and {len(absent) - 3} more" if len(absent) > 3 else ""
        found.notes.append(f"No metrics yet of {', '.join(absent[:3])}{more}.")
    found.notes += damage_notes(found.runs)
    results, note = _read_results(folder, study.question(), len(costs))
    found.notes += [note] if note else []
    return results, found


def _read_results(folder: Path, question: str, planned: int) -> tuple[StudyResults, str]:
    """Returns the study's results, and a sentence where there are none."""
    empty = StudyResults(question, "", "", "", (), {}, {}, {}, (), 0, planned)
    path = folder / RESULTS_FILE
    try:
        values = read_json(path, _RESULTS)
        problem = find_problem(values["verdict"], _VERDICT)
        for comparison in values["comparisons"]:
            problem = problem or find_problem(comparison, _COMPARISON)
        if problem:
            raise DamagedFile(path, problem)
    except FileNotFoundError:
        return empty, "The study has no verdict yet; it is written when the study's command ends."
    except (DamagedFile, RunFolderError) as error:
        return empty, f"The verdict cannot be shown: {error}; start the study again to write it."
    described = [o for o in values.get("outcomes") or () if TEXT.fits(o.get("name"))]
    outcomes, finished = _outcomes(values["runs"])
    return StudyResults(
        question=question,
        claim=values["claim"],
        decision=values["verdict"]["decision"],
        reason=values["verdict"]["reason"],
        comparisons=values["comparisons"],
        units={o["name"]: str(o.get("unit") or "") for o in described},
        help={o["name"]: str(o.get("help") or "") for o in described},
        outcomes=outcomes,
        curves=values.get("curves") or (),
        finished=finished,
        planned=planned,
    ), ""


def _outcomes(
    runs: Mapping[str, Any],
) -> tuple[dict[str, dict[str, list[float | list[float]]]], int]:
    """Returns what was measured by setting and outcome, and of how many runs."""
    found: dict[str, dict[str, list[float | list[float]]]] = {}
    finished = 0
    for name, run in runs.items():
        match = _RUN_NAME.fullmatch(name)
        measured = run.get("outcomes") if isinstance(run, dict) else None
        if match is None or not isinstance(measured, dict):
            continue
        finished += 1
        for outcome, value in measured.items():
            if _is_measured(value):
                setting = found.setdefault(match["setting"], {})
                setting.setdefault(outcome, []).append(value)
    return found, finished


def _is_measured(value: Any) -> bool:
    values = value if isinstance(value, list) else [value]
    return bool(values) and all(NUMBER.fits(one) and math.isfinite(one) for one in values)
