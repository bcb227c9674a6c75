"""The runs that a page compares, read from their folders."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cnnjax.reports.run_record import (
    NoMetrics,
    RunRecord,
    flat_items,
    metric_names,
    read_run_record,
)
from cnnjax.studies.cost import Cost

SEED = "seed"
"""The key of a configuration in which repeated runs differ."""

_ENDINGS = ("finished", "stopped", "diverged")


@dataclass(frozen=True)
class ComparedRun:
    """A run of the comparison.

    Attributes:
        name: its folder's name, or as much of the path as distinguishes it from the others.
        record: the files of its folder.
        seed: the seed by which runs are paired; None where the run records none.
        setting: the name of its setting in its study; "" outside of a study.
        cost: multiply-adds and images of its training; None where they are not known yet.
    """

    name: str
    record: RunRecord
    seed: int | None
    setting: str = ""
    cost: Cost | None = None

    @property
    def results(self) -> dict[str, float]:
        """The metrics of the last evaluation; none without one."""
        if not self.record.evaluated:
            return {}
        last = self.record.evaluated[-1]
        return {name: last[name] for name in metric_names([last])}

    @property
    def settings(self) -> dict[str, str]:
        """The configuration without the seed: readable values by dotted name."""
        return dict(flat_items(without_seed(self.record.config)))

    @property
    def last_step(self) -> int:
        """The last step with a line in the log."""
        return max(line["step"] for line in (*self.record.train, *self.record.evaluated))

    @property
    def epochs(self) -> float:
        """Epochs up to the last line in the log."""
        lines = (*self.record.train, *self.record.evaluated)
        return max((float(line.get("epoch", 0.0)) for line in lines), default=0.0)

    @property
    def state(self) -> str:
        """How the run's last start ended; "not finished" where it logged no end."""
        kinds = [event["event"] for event in self.record.events]
        last = next((kind for kind in reversed(kinds) if kind != "saved"), None)
        return last if last in _ENDINGS else "not finished"


def without_seed(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a configuration without its seed.

    Args:
        config: the configuration.
    """
    return {name: value for name, value in config.items() if name != SEED}


@dataclass
class Found:
    """What was found in the folders.

    Attributes:
        runs: the runs that can be compared.
        notes: a sentence on each folder or file that is left out or damaged.
    """

    runs: list[ComparedRun] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_runs(folders: Sequence[str | os.PathLike]) -> Found:
    """Reads runs; one that has no metrics yet, or is given twice, is left out and named.

    Args:
        folders: of the runs.

    Raises:
        RunFolderError: a folder holds no run, or its `config.json` is damaged.
    """
    found = Found()
    names = unique_names([Path(folder) for folder in folders])
    seen: dict[str, str] = {}
    for folder, name in zip(folders, names, strict=True):
        place = os.path.realpath(folder)
        if place in seen:
            if f"{name} is given twice and counts once." not in found.notes:
                found.notes.append(f"{name} is given twice and counts once.")
            continue
        seen[place] = name
        try:
            record = read_run_record(folder)
        except NoMetrics:
            found.notes.append(f"{name} has no metrics yet and is left out.")
            continue
        if not has_lines(record):
            found.notes.append(f"{name} is left out: {' '.join(record.damage)}")
            continue
        # A copy of a folder is no second run: the differences between its seeds would be 0.
        number = record.run.get("run_id")
        if isinstance(number, str) and number in seen:
            found.notes.append(f"{name} is a copy of {seen[number]} and is left out.")
            continue
        if isinstance(number, str):
            seen[number] = name
        found.runs.append(ComparedRun(name, record, seed_of(record)))
    found.notes += damage_notes(found.runs)
    return found


def has_lines(record: RunRecord) -> bool:
    """Returns whether anything of a run's log can be read.

    Args:
        record: the files of its folder.
    """
    return bool(record.train or record.evaluated)


def damage_notes(runs: Iterable[ComparedRun]) -> list[str]:
    """Returns a sentence on each file of the runs of which something cannot be read.

    Args:
        runs: the runs.
    """
    return [f"{run.name}: {sentence}" for run in runs for sentence in run.record.damage]


def seed_of(record: RunRecord) -> int | None:
    """Returns the seed of a run's configuration; None where it has none.

    Args:
        record: the files of its folder.
    """
    seed = record.config.get(SEED)
    return seed if isinstance(seed, int) and not isinstance(seed, bool) else None


def unique_names(folders: Sequence[Path]) -> list[str]:
    """Returns the last parts of paths, as many as distinguish different paths from each other.

    Args:
        folders: the paths.
    """
    parts = [Path(os.path.abspath(folder)).parts for folder in folders]
    names = []
    for own in parts:
        others = [other for other in parts if other != own]
        length = 1
        while length < len(own) and any(other[-length:] == own[-length:] for other in others):
            length += 1
        names.append("/".join(own[-length:]))
    return names
