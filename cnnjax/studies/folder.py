"""The folder of a study: its runs' folders, their outcomes and failures, and its description."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cnnjax.studies.claims import Claims, describe_process
from cnnjax.studies.cost import Cost
from cnnjax.studies.plan import PlannedRun
from cnnjax.studies.sources import WEIGHTS_FILE
from cnnjax.studies.study import Comparison, Study
from cnnjax.training.errors import RunFolderError
from cnnjax.training.folder.check import check_folder
from cnnjax.training.folder.differences import differences
from cnnjax.training.folder.json_files import (
    NUMBER,
    OBJECT,
    OBJECTS,
    DamagedFile,
    Table,
    optional,
    read_json,
)
from cnnjax.training.folder.ownership import RunIdentity
from cnnjax.training.folder.write_errors import write_error
from cnnjax.writing import write_json

OUTCOMES_FILE = "outcomes.json"
"""In the folder of a run that is finished: what was measured of it."""

STUDY_FILE = "study.json"
"""The study as it was started: question, rule, and each run's cost."""

_OUTCOMES_TABLE: Table = {"outcomes": OBJECT, "seconds": NUMBER}
_STUDY_TABLE: Table = {
    "rules": OBJECTS,
    "runs": OBJECT,
    "sources": optional(OBJECT),
    "settings": optional(OBJECT),
}

Outcomes = Mapping[str, float | Sequence[float]]


class StudyFolder:
    """The folder that all processes of a study share.

    Args:
        workdir: its path.

    Attributes:
        workdir: its path.
    """

    def __init__(self, workdir: str | Path):
        self.workdir = Path(workdir)

    def claims(self) -> Claims:
        """Returns the claims of the study's runs."""
        try:
            return Claims(self.workdir / "claims")
        except OSError as error:
            raise write_error(self.workdir, error) from error

    def run(self, name: str) -> Path:
        """Returns the folder of a run.

        Args:
            name: of the run.
        """
        return self.workdir / "runs" / name

    def check(self, runs: Sequence[PlannedRun]) -> None:
        """Refuses a folder that holds other runs under the names of these; nothing is written.

        Args:
            runs: the runs of the study.

        Raises:
            RunFolderError: a run's folder holds another run, or cannot be written.
        """
        for run in runs:
            if run.make_run is not None:
                self._check_settings(run)
                continue
            # As they are read back from the run's folder: lists instead of tuples.
            values = json.loads(json.dumps(run.config.model_dump()))
            check_folder(self.run(run.name), RunIdentity("configuration", values, []))

    def _check_settings(self, run: PlannedRun) -> None:
        """Refuses a run of a study that makes its own, where its folder is of other settings."""
        before = self._settings().get(run.name)
        if before is None or not self.run(run.name).exists():
            return
        if found := list(differences(before, run.config, "base.")):
            lines = [f"{key} is {old!r} there, {new!r} was given" for key, old, new in found]
            raise RunFolderError(
                f"workdir: {self.run(run.name)} holds another run:\n  "
                + "\n  ".join(lines)
                + "\ngive the same study to resume it, or another folder to start a new one"
            )

    def start(
        self, study: Study, costs: Mapping[str, Cost], planned: Sequence[PlannedRun] = ()
    ) -> None:
        """Writes the study's description, with every rule that it has had.

        Args:
            study: the study.
            costs: the cost of each run, those of its sources too.
            planned: the runs, of which those of sources are kept apart, and the settings of those
                that the study makes itself are kept.

        Raises:
            RunFolderError: the folder cannot be written.
        """
        rule = describe_rule(study)
        rules = self.rules()
        sources = {run.name for run in planned if run.is_source}
        if not rules or rules[-1]["rule"] != rule:
            finished = sum(self.outcomes(name) is not None for name in costs if name not in sources)
            now = time.strftime("%Y-%m-%dT%H:%M:%S%z")
            rules.append({"since": now, "finished_runs": finished, "rule": rule})
        described = {
            "question": study.question,
            "rules": rules,
            "runs": {name: asdict(cost) for name, cost in costs.items() if name not in sources},
            "sources": {name: asdict(cost) for name, cost in costs.items() if name in sources},
            "settings": self._settings()
            | {run.name: run.config for run in planned if run.make_run is not None},
        }
        try:
            self.workdir.mkdir(parents=True, exist_ok=True)
            write_json(self.workdir / STUDY_FILE, described)
        except OSError as error:
            raise write_error(self.workdir, error) from error

    def rules(self) -> list[dict[str, Any]]:
        """Returns the rules that the study has had, each with its date, the newest last."""
        return list(self._description().get("rules", ()))

    def question(self) -> str:
        """Returns what the study asks; "" before its first start."""
        return str(self._description().get("question", ""))

    def costs(self) -> dict[str, Cost]:
        """Returns the cost of each run, as the study was started; sources are not among them."""
        return {name: Cost(**cost) for name, cost in self._description().get("runs", {}).items()}

    def source_costs(self) -> dict[str, Cost]:
        """Returns the cost of each run of a source, as the study was started."""
        found = self._description().get("sources") or {}
        return {name: Cost(**cost) for name, cost in found.items()}

    def _settings(self) -> dict[str, Any]:
        """Returns the settings of the runs that the study makes itself, as it was started."""
        return dict(self._description().get("settings") or {})

    def _description(self) -> dict[str, Any]:
        try:
            return read_json(self.workdir / STUDY_FILE, _STUDY_TABLE)
        except FileNotFoundError:
            return {}
        except DamagedFile as damaged:
            raise RunFolderError(
                f"workdir: {damaged}; it is only a description: remove it, and start again"
            ) from None

    def write_outcomes(self, name: str, outcomes: Outcomes, seconds: float) -> None:
        """Writes what was measured of a run, which is then finished.

        Args:
            name: of the run.
            outcomes: numbers, or lists of numbers, by outcome.
            seconds: the time that it took, of this start alone.
        """
        values = {"outcomes": dict(outcomes), "seconds": seconds, **describe_process()}
        write_json(self.run(name) / OUTCOMES_FILE, values)
        (self._failure(name)).unlink(missing_ok=True)

    def outcomes(self, name: str) -> dict[str, float | list[float]] | None:
        """Returns what was measured of a run; None where it is not finished.

        Args:
            name: of the run.
        """
        values = self.record(name)
        return None if values is None else values["outcomes"]

    def record(self, name: str) -> dict[str, Any] | None:
        """Returns a finished run's outcomes with host, process and time; None if not finished.

        A damaged file counts as missing: what it held is measured again.

        Args:
            name: of the run.
        """
        try:
            return read_json(self.run(name) / OUTCOMES_FILE, _OUTCOMES_TABLE)
        except (FileNotFoundError, DamagedFile):
            return None

    def is_finished(self, name: str, study: Study) -> bool:
        """Returns whether every outcome of a study was measured of a run.

        Args:
            name: of the run.
            study: the study.
        """
        found = self.outcomes(name)
        return found is not None and all(outcome.name in found for outcome in study.outcomes)

    def is_source_finished(self, name: str) -> bool:
        """Returns whether a source was trained, and its weights are there.

        Args:
            name: of its run.
        """
        return self.record(name) is not None and (self.run(name) / WEIGHTS_FILE).is_file()

    def write_failure(self, name: str, message: str, details: str) -> None:
        """Writes why a run failed.

        Args:
            name: of the run.
            message: what went wrong, for the user.
            details: the traceback.
        """
        path = self._failure(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {"message": message, "details": details, **describe_process()})

    def failure(self, name: str) -> str | None:
        """Returns why a run failed the last time; None where it did not.

        Args:
            name: of the run.
        """
        try:
            return str(read_json(self._failure(name), {}).get("message"))
        except (FileNotFoundError, DamagedFile):
            return None

    def clear_failure(self, name: str) -> None:
        """Forgets that a run failed, so that it is tried again.

        Args:
            name: of the run.
        """
        self._failure(name).unlink(missing_ok=True)

    def _failure(self, name: str) -> Path:
        return self.workdir / "failures" / f"{name}.json"


def describe_rule(study: Study) -> dict[str, Any]:
    """Returns a study's rule as JSON values.

    Args:
        study: the study.
    """
    rule = study.rule
    return {
        "claim": rule.claim,
        "primary": _comparison(rule.primary),
        "others": [_comparison(comparison) for comparison in rule.others],
        "control": None if rule.control is None else _comparison(rule.control),
    }


def _comparison(comparison: Comparison) -> dict[str, Any]:
    labels = {
        side: {factor: str(label) for factor, label in getattr(comparison, side).items()}
        for side in ("more", "less")
    }
    return {
        "statement": comparison.statement,
        "outcome": comparison.outcome,
        **labels,
        "at_least": float(comparison.at_least),
    }
