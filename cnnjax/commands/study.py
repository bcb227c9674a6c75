"""Run a study, many runs and the verdict of a rule, or a search over settings.

cnnjax study --study=degradation --workdir=runs/degradation
cnnjax study --study=mine.py --workdir=runs/mine --scale=paper --jobs=2

--dry_run prints the runs and what they cost. A study that was stopped continues when it is started
again; a run that failed is named, and tried again then. At its end, comparison.html shows all runs
side by side. Several machines that share the folder work on one study when each starts this
command; each run is trained by one process.

A search's trials are such runs too; its best setting, by validation examples alone, is then trained
again and scored once on the test split.

--list prints a command for each run instead, for a cluster's scheduler:

cnnjax study --study=mine.py --workdir=runs/mine --list > commands.txt
parallel --jobs 2 < commands.txt
"""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from cnnjax import reports, studies, training
from cnnjax.commands import find_study
from cnnjax.commands.exit_codes import RUN_ERROR
from cnnjax.commands.flags.data_dir import read_data_dir
from cnnjax.commands.flags.reading import read_options
from cnnjax.commands.help.program_name import program_name
from cnnjax.commands.launch import launch
from cnnjax.extras import MissingPackage

_STUDY = flags.DEFINE_string(
    "study", None, "The study: a file, or the name of one, e.g. degradation.", required=True
)
_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Folder of the study: results.md, and each run's folder in runs/."
)
_SCALE = flags.DEFINE_string(
    "scale", None, "One of the study's sizes, e.g. small or paper; its first one if not given."
)
_JOBS = flags.DEFINE_integer(
    "jobs", 1, "Processes on this machine, each on its share of the cores.", lower_bound=1
)
_DRY_RUN = flags.DEFINE_boolean("dry_run", False, "Print the runs and their cost; train nothing.")
_LIST = flags.DEFINE_boolean("list", False, "Print one command for each run; train nothing.")
_ONLY = flags.DEFINE_list(
    "only", [], "Names of runs, separated by commas: train these alone, and wait for no others."
)


def main(arguments: Sequence[str]) -> None:
    """Runs the study that the flags name, prints the results and writes them into its folder.

    Args:
        arguments: the program's name; nothing follows it.
    """
    if arguments[1:]:
        raise training.ConfigError(
            f"{arguments[1]!r} follows the flags; name the study with --study=FILE"
        )
    study = studies.load(find_study.find(_STUDY.value), _SCALE.value)
    kind = _Search(study) if isinstance(study, studies.Search) else _Study(study)
    if _DRY_RUN.value:
        print(kind.cost())
        return
    if not _WORKDIR.value:
        raise training.ConfigError("--workdir is required, except with --dry_run: give a folder")
    if _LIST.value:
        print("\n".join(_command(name) for name in kind.names()))
        return
    workdir: str = _WORKDIR.value
    page, failed, left = kind.run(workdir)
    if not _ONLY.value:
        print(page)
        print()
    written = [("results", str(Path(workdir) / "results.md"))]
    if not _ONLY.value:
        written += kind.write_comparison(workdir)
    print(training.format_lines(written))
    for names, problem in ((failed, "failed"), (left, "not finished")):
        if names:
            print(f"error: runs {problem}: {', '.join(names)}", file=sys.stderr)
    if failed or left:
        sys.exit(RUN_ERROR)


class _Study:
    """The command's work on a study."""

    def __init__(self, study: studies.Study):
        self._study = study
        self._has_outcomes = False

    def _runs(self) -> list[studies.PlannedRun]:
        return studies.choose_runs(studies.plan_all(self._study), _ONLY.value)

    def names(self) -> list[str]:
        return [run.name for run in self._runs()]

    def cost(self) -> str:
        runs = self._runs()
        return studies.format_cost(runs, studies.check_runs(runs, read_data_dir()))

    def run(self, workdir: str) -> tuple[str, list[str], list[str]]:
        """Returns the page of results, and the names of the runs that failed or are left."""
        results = studies.run_study(
            self._study, workdir, jobs=_JOBS.value, only=_ONLY.value, options=_options()
        )
        chosen = studies.choose_runs([*results.sources, *results.runs], _ONLY.value)
        failed = [run.name for run in chosen if run.name in results.failures]
        done = {*results.outcomes, *results.source_outcomes, *failed}
        left = [run.name for run in chosen if run.name not in done]
        self._has_outcomes = bool(results.outcomes)
        return studies.results_page(results), failed, left

    def write_comparison(self, workdir: str) -> list[tuple[str, str]]:
        """Writes the page that compares the runs; returns its path, or why there is none."""
        if not self._has_outcomes:
            return []
        try:
            page = reports.write_comparison([workdir], data_dir=read_data_dir())
        # The study itself is done, and its results are written.
        except (MissingPackage, training.ConfigError, training.RunFolderError) as error:
            return [("comparison", f"not written: {error}")]
        return [("comparison", str(page))]


class _Search:
    """The command's work on a search."""

    def __init__(self, search: studies.Search):
        self._search = search

    def write_comparison(self, workdir: str) -> list[tuple[str, str]]:
        """Returns no path: the trials of a search differ in too much for one page."""
        del workdir
        return []

    def names(self) -> list[str]:
        return studies.trial_names(self._search, _ONLY.value)

    def cost(self) -> str:
        return studies.format_search(self._search, studies.TrialCosts(read_data_dir()))

    def run(self, workdir: str) -> tuple[str, list[str], list[str]]:
        """Returns the page of results, and the names of the runs that failed or are left."""
        results = studies.run_search(
            self._search, workdir, jobs=_JOBS.value, only=_ONLY.value, options=_options()
        )
        page, only = studies.search_page(results), _ONLY.value
        failed = [name for name in results.failures if not only or name in only]
        left = [name for name in results.left if not only or name in only]
        if results.choice is None and not (only or failed or left):
            left = ["no trial was trained in full, so that nothing is chosen"]
        return page, failed, left


def _options() -> studies.WorkOptions:
    return studies.WorkOptions(data_dir=read_data_dir(), read=read_options())


def _command(name: str) -> str:
    """Returns the command line that trains one run."""
    given = {"study": _STUDY.value, "workdir": _WORKDIR.value, "scale": _SCALE.value}
    given |= {"data_dir": read_data_dir(), "only": name}
    return shlex.join([*program_name().split(), *(f"--{k}={v}" for k, v in given.items() if v)])


def run() -> None:
    """Runs the command on the process's own arguments."""
    launch(main)
