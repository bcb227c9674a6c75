"""Runs compared: their settings, the metrics that they share, and paired differences."""

import itertools
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cnnjax.parts import is_path
from cnnjax.reports.compare.costs import with_costs
from cnnjax.reports.compare.runs import ComparedRun, read_runs
from cnnjax.reports.compare.settings import Setting, make_settings
from cnnjax.reports.compare.study import StudyResults, is_study, read_study
from cnnjax.reports.formats import sentence
from cnnjax.reports.run_record import metric_names
from cnnjax.studies.intervals import Decided, decide, decide_together
from cnnjax.tasks.registry import TASKS
from cnnjax.tasks.sections import MetricChart
from cnnjax.training.errors import ConfigError, RunFolderError

# Of more settings, each is compared with the first alone: pairs grow with the square.
_ALL_PAIRS = 4


@dataclass(frozen=True)
class Difference:
    """A metric of one setting minus that of another, paired by seed.

    Attributes:
        first: the setting that is subtracted from.
        second: the setting that is subtracted.
        values: a difference for each seed of both, by seed.
        decided: mean and 95 % interval; None for fewer than two seeds, or without finite numbers.
        together: whether the interval leaves out 0 after Holm's correction over all differences of
            the metric: "above", "below" or "undecided".
    """

    first: Setting
    second: Setting
    values: dict[int, float]
    decided: Decided | None
    together: str = "undecided"


@dataclass(frozen=True)
class Comparison:
    """What a page of several runs shows.

    Attributes:
        settings: the runs by setting.
        metrics: the metrics that every evaluated run has, and how they are drawn.
        drawn: those with a chart.
        notes: sentences on what is left out, damaged or not comparable.
        study: the study's results; None outside of a study.
    """

    settings: Sequence[Setting]
    metrics: Sequence[MetricChart]
    drawn: Sequence[MetricChart]
    notes: Sequence[str]
    study: StudyResults | None = None

    @property
    def runs(self) -> list[ComparedRun]:
        """All runs, setting by setting."""
        return [run for setting in self.settings for run in setting.runs]

    def differences(self, metric: str) -> list[Difference]:
        """Returns the paired differences of a metric that at least one pair of settings allows.

        Up to four settings are compared pair by pair; of more, each with the first.

        Args:
            metric: its name in the log.
        """
        if len(self.settings) <= _ALL_PAIRS:
            pairs = [(b, a) for a, b in itertools.combinations(self.settings, 2)]
        else:
            pairs = [(other, self.settings[0]) for other in self.settings[1:]]
        found = [_difference(first, second, metric) for first, second in pairs]
        known = [place for place, one in enumerate(found) if one.decided is not None]
        together = decide_together([(list(found[place].values.values()), 0.0) for place in known])
        words = {"supported": "above", "not supported": "below", "undecided": "undecided"}
        for place, decided in zip(known, together, strict=True):
            one = found[place]
            found[place] = Difference(
                one.first, one.second, one.values, one.decided, words[decided.decision]
            )
        return [one for one in found if one.values]


def read_comparison(
    folders: Sequence[str | os.PathLike], *, data_dir: str | None = None
) -> Comparison:
    """Reads runs, or the runs of one study, to compare them.

    Args:
        folders: of two runs or more, or that of one study.
        data_dir: TFDS data folder, for the sizes of the images; None means TFDS's default.

    Returns:
        The comparison. Runs without metrics, and those given twice, are left out and named in
        `notes`.

    Raises:
        ConfigError: there are fewer than two runs, a study is given beside others, or the runs
            share no metric.
        RunFolderError: a folder holds neither a run nor a study, or its description is damaged.
    """
    paths = [Path(folder) for folder in folders]
    studies = [path for path in paths if is_study(path)]
    if studies and len(paths) > 1:
        raise ConfigError(
            f"{studies[0]} is a study, which is compared alone; give it alone, or folders of runs, "
            f"such as those in {studies[0] / 'runs'}"
        )
    study = None
    if studies:
        study, found = read_study(studies[0])
        if not found.runs:
            raise RunFolderError(f"{studies[0]}: no run of the study has metrics yet; start it")
    else:
        for path in paths:
            _refuse_parent(path)
        found = read_runs(paths)
        if len(found.runs) < 2:
            raise ConfigError(" ".join([_TOO_FEW.format(len(found.runs)), *found.notes]))
    runs, unknown = with_costs(found.runs, data_dir)
    names, notes = _common_metrics(runs)
    metrics, drawn = _described(runs, names)
    settings = make_settings(runs)
    notes = [*found.notes, *notes, *_shortened(unknown), *_shortened(_repeated(settings))]
    return Comparison(settings, metrics, drawn, notes, study)


_SHARES = {"top5_error": MetricChart("top5_error", "Top-5 error", percent=True)}
"""Metrics of cnnjax's tasks that are in per cent, and have no learning curve of their own."""

_TOO_FEW = (
    "{} run to compare; give the folders of two runs or more, or that of a study "
    "(cnnjax report --workdir=FOLDER shows a single run)."
)


def _refuse_parent(path: Path) -> None:
    """Refuses a folder of runs, with the runs that it holds."""
    if not path.is_dir() or (path / "config.json").exists():
        return
    for folder in (path, path / "runs"):
        if inside := list(folder.glob("*/config.json")):
            raise RunFolderError(
                f"{path} is no run, but holds {len(inside)}; give their folders, such as {folder}/*"
            )


def _common_metrics(runs: Sequence[ComparedRun]) -> tuple[list[str], list[str]]:
    """Returns the metrics that all evaluated runs have, and notes on the others."""
    evaluated = [run for run in runs if run.results]
    notes = [f"{run.name} has not been evaluated yet." for run in runs if not run.results]
    if not evaluated:
        tables = [(run, metric_names(run.record.train)) for run in runs]
    else:
        tables = [(run, list(run.results)) for run in evaluated]
    names = [name for name in tables[0][1] if all(name in own for _, own in tables)]
    if not names:
        logged = "; ".join(f"{run.name} logs {', '.join(own) or 'none'}" for run, own in tables[:4])
        raise ConfigError(f"the runs have no metric in common ({logged}); give runs of one task")
    every = dict.fromkeys(name for _, own in tables for name in own)
    for name in every:
        if name not in names:
            owners = [run.name for run, own in tables if name in own]
            notes.append(f"{name} is not compared: only {_some(owners)} logged it.")
    splits: dict[str, list[str]] = {}
    for run in evaluated:
        splits.setdefault(run.record.split, []).append(run.name)
    if len(splits) > 1:
        words = "; ".join(f"{split}: {_some(owners)}" for split, owners in splits.items())
        notes.append(f"The runs were evaluated on different examples ({words}).")
    return names, notes


def _described(
    runs: Sequence[ComparedRun], names: Sequence[str]
) -> tuple[list[MetricChart], list[MetricChart]]:
    """Returns how metrics are shown, and those of them that are drawn."""
    tasks = {_task_name(run) for run in runs}
    curves: Sequence[MetricChart] = ()
    if len(tasks) == 1:
        (task,) = tasks
        # The class of a path would have to be imported.
        if task and not is_path(task) and task in TASKS.names():
            curves = TASKS.get(task).curves
    drawn = [curve for curve in curves if curve.metric in names]
    known = {curve.metric for curve in drawn}
    plain = [
        _SHARES.get(name) or MetricChart(name, sentence(name.replace("_", " ")), log=name == "loss")
        for name in names
        if name not in known
    ]
    return [*drawn, *plain], drawn or plain


def _task_name(run: ComparedRun) -> str:
    task = run.record.config.get("task")
    name = task.get("name") if isinstance(task, dict) else None
    return name if isinstance(name, str) else ""


def _repeated(settings: Sequence[Setting]) -> list[str]:
    """Returns a sentence on each setting with several runs of one seed."""
    notes = []
    for setting in settings:
        by_seed: dict[int | None, list[str]] = {}
        for run in setting.runs:
            by_seed.setdefault(run.seed, []).append(run.name)
        for names in by_seed.values():
            if len(names) > 1:
                notes.append(
                    f"{_some(names)} have the same configuration and seed; their mean counts. (A "
                    "run made in Python records no numbers of its optimizer: give Run an identity.)"
                )
    return notes


def _difference(first: Setting, second: Setting, metric: str) -> Difference:
    more, less = first.by_seed(metric), second.by_seed(metric)
    values = {seed: more[seed] - less[seed] for seed in more if seed in less and seed is not None}
    finite = len(values) > 1 and all(map(math.isfinite, values.values()))
    return Difference(first, second, values, decide(list(values.values())) if finite else None)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _shortened(notes: Sequence[str]) -> list[str]:
    """Returns few notes of many, with the number of those that are left out."""
    return [*notes[:3], *([f"So for {len(notes) - 3} more runs."] if len(notes) > 3 else [])]
