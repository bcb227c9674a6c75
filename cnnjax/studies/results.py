"""The results of a study, collected from its runs' folders."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cnnjax.studies.folder import StudyFolder
from cnnjax.studies.plan import PlannedRun
from cnnjax.studies.study import Study
from cnnjax.studies.verdict import Verdict, make_verdict


@dataclass(frozen=True)
class Results:
    """What a study has found so far.

    Attributes:
        study: the study.
        runs: all of its runs.
        outcomes: what was measured of each finished run: numbers, and lists of numbers.
        seconds: how long each finished run took.
        failures: why runs failed, by name.
        rules: every rule that the study has had, the newest last.
        verdict: the answer.
        sources: the runs that others start from.
        source_outcomes: the metrics of each of those that is finished.
    """

    study: Study
    runs: Sequence[PlannedRun]
    outcomes: Mapping[str, Mapping[str, Any]]
    seconds: Mapping[str, float]
    failures: Mapping[str, str]
    rules: Sequence[Mapping[str, Any]]
    verdict: Verdict
    sources: Sequence[PlannedRun] = ()
    source_outcomes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def collect(
    study: Study,
    runs: Sequence[PlannedRun],
    folder: StudyFolder,
    sources: Sequence[PlannedRun] = (),
) -> Results:
    """Returns the results of all finished runs.

    Args:
        study: the study.
        runs: all of its runs.
        folder: the study's folder.
        sources: the runs of its sources.
    """
    every = [*sources, *runs]
    records = {run.name: folder.record(run.name) for run in every}
    found = {name: record for name, record in records.items() if record is not None}
    outcomes = {run.name: found[run.name]["outcomes"] for run in runs if run.name in found}
    failures = {run.name: folder.failure(run.name) for run in every if run.name not in found}
    return Results(
        study=study,
        runs=runs,
        outcomes=outcomes,
        seconds={name: record["seconds"] for name, record in found.items()},
        failures={name: why for name, why in failures.items() if why is not None},
        rules=folder.rules(),
        verdict=make_verdict(study, runs, numbers_of(outcomes)),
        sources=sources,
        source_outcomes={r.name: found[r.name]["outcomes"] for r in sources if r.name in found},
    )


def numbers_of(outcomes: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Returns the outcomes that are single numbers, by run and outcome.

    Args:
        outcomes: numbers and lists of numbers, by run and outcome.
    """
    return {
        name: {key: float(value) for key, value in values.items() if not isinstance(value, list)}
        for name, values in outcomes.items()
    }
