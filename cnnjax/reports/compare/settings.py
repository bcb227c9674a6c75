"""Settings: runs that differ in their seed alone, and the keys in which settings differ."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cnnjax.reports.charts.line_chart import DASHES
from cnnjax.reports.compare.runs import ComparedRun, without_seed
from cnnjax.studies.intervals import mean_and_half

COLORS = 6
"""Colors of the style sheet that are distinguished without color vision, too."""

_LABEL_KEYS = 3
_LABEL_LETTERS = 44
_NAMING_KEYS = ("model.name", "data.name", "optimizer.name", "schedule.name")


@dataclass(frozen=True)
class Setting:
    """Runs that differ in their seed alone.

    Attributes:
        label: what distinguishes it from the other settings, in a few words.
        runs: its runs.
        values: its values of the keys that differ, "" where it has none.
        color: 1 to 6, the colors of the style sheet; 0, neutral, where there are more settings than
            colors and dashes.
        dash: which of the dashes its lines have.
    """

    label: str
    runs: Sequence[ComparedRun]
    values: Mapping[str, str]
    color: int
    dash: int

    @property
    def seeds(self) -> list[int]:
        """The seeds of its runs, each once."""
        return sorted({run.seed for run in self.runs if run.seed is not None})

    def by_seed(self, metric: str) -> dict[int | None, float]:
        """Returns the last value of a metric of each seed; of repeated runs their mean.

        Args:
            metric: its name in the log.
        """
        found: dict[int | None, list[float]] = {}
        for run in self.runs:
            if metric in run.results:
                found.setdefault(run.seed, []).append(run.results[metric])
        return {seed: sum(values) / len(values) for seed, values in found.items()}

    def mean(self, metric: str) -> tuple[float, float]:
        """Returns a metric's mean over seeds, and half the length of its 95 % interval.

        Args:
            metric: its name in the log.

        Returns:
            Both NaN where no run was evaluated; of a single seed the half is infinite.
        """
        values = list(self.by_seed(metric).values())
        return mean_and_half(values) if values else (math.nan, math.nan)


def make_settings(runs: Sequence[ComparedRun]) -> list[Setting]:
    """Returns the settings of some runs, in the order of their first runs.

    Args:
        runs: the runs; those of a study belong to the settings that it names.
    """
    groups: dict[str, list[ComparedRun]] = {}
    for run in runs:
        config = json.dumps(without_seed(run.record.config), sort_keys=True)
        groups.setdefault(run.setting or config, []).append(run)
    keys = differing_keys(runs)
    tables = [group[0].settings for group in groups.values()]
    values = [{key: table.get(key, "") for key in keys} for table in tables]
    labels = _labels(list(groups.values()), values)
    return [
        Setting(label, group, own, *line_style(place, len(groups)))
        for place, (label, group, own) in enumerate(
            zip(labels, groups.values(), values, strict=True)
        )
    ]


def differing_keys(runs: Sequence[ComparedRun]) -> list[str]:
    """Returns the keys of the configuration, without the seed, whose values differ between runs.

    Args:
        runs: the runs.
    """
    tables = [run.settings for run in runs]
    keys = list(dict.fromkeys(key for table in tables for key in table))
    return [key for key in keys if len({table.get(key) for table in tables}) > 1]


def short_keys(keys: Sequence[str]) -> list[str]:
    """Returns the last parts of dotted keys, and the whole of those whose last parts are equal.

    Args:
        keys: the keys.
    """
    last = [key.rpartition(".")[2] for key in keys]
    return [
        short if last.count(short) == 1 and key not in _NAMING_KEYS else key
        for key, short in zip(keys, last, strict=True)
    ]


def line_style(place: int, count: int) -> tuple[int, int]:
    """Returns color and dash of one of several lines.

    Args:
        place: its number, from 0.
        count: of the lines.
    """
    if count <= COLORS:
        return place + 1, 0
    if place >= COLORS * len(DASHES):
        return 0, 0
    return place % COLORS + 1, place // COLORS


def _labels(
    groups: Sequence[Sequence[ComparedRun]], values: Sequence[Mapping[str, str]]
) -> list[str]:
    labels = [
        group[0].setting or words_of(own) or _common_name(group)
        for group, own in zip(groups, values, strict=True)
    ]
    if any(len(label) > _LABEL_LETTERS for label in labels) or len(set(labels)) < len(labels):
        labels = [group[0].setting or _common_name(group) for group in groups]
    # Names of one study are all different, and so are those of folders.
    if len(set(labels)) < len(labels):
        labels = [f"{label} ({place})" for place, label in enumerate(labels, 1)]
    return labels


def words_of(values: Mapping[str, str]) -> str:
    """Returns the values of a few keys in words; "" where there are none, or too many.

    Args:
        values: readable values by dotted key.
    """
    if len(values) > _LABEL_KEYS:
        return ""
    parts = []
    for key, short in zip(values, short_keys(list(values)), strict=True):
        value = values[key] or "none"
        # The value of a name needs no key.
        parts.append(value if key in _NAMING_KEYS else f"{short} {value}")
    return ", ".join(parts)


def _common_name(group: Sequence[ComparedRun]) -> str:
    """Returns what the names of some runs start with; the first name if that is too little."""
    first = group[0].name
    if len(group) == 1:
        return first
    common = first
    for run in group[1:]:
        while not run.name.startswith(common):
            common = common[:-1]
    common = common.rstrip("0123456789").removesuffix("seed").rstrip("-_. /")
    return common if len(common) > 2 else first
