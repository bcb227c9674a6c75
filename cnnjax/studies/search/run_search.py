"""A whole search: checked, run by one process or several, chosen, retrained and tested."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cnnjax.studies.folder import StudyFolder
from cnnjax.studies.intervals import mean_and_half
from cnnjax.studies.processes import work_in_processes
from cnnjax.studies.purpose import check_for_search
from cnnjax.studies.search.choice import check_choice
from cnnjax.studies.search.costs import TrialCosts, check_space, score_of
from cnnjax.studies.search.optuna_package import load_optuna
from cnnjax.studies.search.results import SearchResults, collect_search
from cnnjax.studies.search.search import Search
from cnnjax.studies.search.trials import Trials, check_journal, trial_name, trial_names
from cnnjax.studies.search.worker import work_on_search
from cnnjax.studies.search.write_search import write_search
from cnnjax.studies.worker import WorkOptions
from cnnjax.training.errors import ConfigError


def run_search(
    search: Search,
    workdir: str | Path,
    *,
    jobs: int = 1,
    only: Sequence[str] = (),
    options: WorkOptions = WorkOptions(),  # noqa: B008 (it cannot be changed)
) -> SearchResults:
    """Runs all trials of a search that have not ended, chooses, retrains the best and tests it.

    Any number of processes, on any machines that share the folder, may do this at once. Settings
    depend on the search's seed and the trial's number alone; which trials are pruned depends on the
    order in which they come to their comparisons, and so on the number of processes.

    Args:
        search: the search.
        workdir: its folder, made if it does not exist.
        jobs: processes on this machine.
        only: names of trials to run; empty for all. Nothing is chosen or retrained then, and the
            process waits for no other one.
        options: how the work is done.

    Returns:
        What was found, which is also written into the folder.

    Raises:
        ConfigError: a trial cannot work; nothing was written.
        MissingPackage: Optuna is not installed.
        RunFolderError: the folder holds another search, or cannot be written.
        DataError: the dataset is not prepared.
        TrainingStopped: a signal to stop was received, and the runs are saved.
    """
    if jobs < 1:
        raise ConfigError(f"--jobs: {jobs} was given; give 1 or more")
    if jobs > 1 and search.source is None:
        raise ConfigError(
            "jobs: several processes read the search from its file; load it with "
            "studies.load_search(FILE), or give jobs=1"
        )
    load_optuna()
    # The package that the results' intervals need must not be missed only after the trials.
    mean_and_half([0.0, 0.0])
    chosen = trial_names(search, only) if only else []
    folder, costs, score = StudyFolder(workdir), TrialCosts(options.data_dir), score_of(search)
    check_for_search(folder.workdir)
    check_journal(search, folder.workdir, score.higher_is_better)
    _check_budget(search, check_space(search, costs).total)
    count = len(Trials(search, folder.workdir, score.higher_is_better).all())
    check_choice(search, folder.workdir, count)
    again = chosen or [trial_name(n) for n in range(max(count, search.trials or 0))]
    for name in (*again, *(f"retrained_seed-{seed}" for seed in search.seeds)):
        folder.clear_failure(name)
    options = replace(options, waits=options.waits and not only)
    if jobs > 1 and search.source is not None:
        work_in_processes(search.source, folder.workdir, only, jobs, options)
    else:
        work_on_search(search, folder, options, only)
    results = collect_search(search, score, folder, costs)
    write_search(results, folder.workdir)
    return results


def _check_budget(search: Search, base: float) -> None:
    if search.budget is not None and search.budget < base:
        raise ConfigError(
            f"search.budget: {search.budget:.3g} multiply-adds times images are less than one "
            f"trial of the base takes, {base:.3g}; give more, or fewer epochs"
        )
