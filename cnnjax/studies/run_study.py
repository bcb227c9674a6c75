"""A whole study: its runs checked, trained by one process or several, and decided."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cnnjax.studies.cost import Cost, check_runs
from cnnjax.studies.folder import StudyFolder
from cnnjax.studies.intervals import decide
from cnnjax.studies.plan import PlannedRun, choose_runs, plan_all, plan_runs, plan_sources
from cnnjax.studies.processes import work_in_processes
from cnnjax.studies.purpose import check_for_study
from cnnjax.studies.results import Results, collect
from cnnjax.studies.study import Study
from cnnjax.studies.worker import Worker, WorkOptions
from cnnjax.studies.write_results import write_results
from cnnjax.training.errors import ConfigError


def run_study(
    study: Study,
    workdir: str | Path,
    *,
    jobs: int = 1,
    only: Sequence[str] = (),
    options: WorkOptions = WorkOptions(),  # noqa: B008 (it cannot be changed)
) -> Results:
    """Trains all runs of a study that are not finished, and returns what they answer.

    Any number of processes, on any machines that share the folder, may do this at once: each run is
    trained by one of them. A run that fails is named in the results, and is tried again at the next
    start.

    Args:
        study: the study.
        workdir: the study's folder, made if it does not exist; beneath its `runs/` each run has an
            ordinary folder.
        jobs: processes on this machine.
        only: names of the runs to train; empty for all. The process then waits for no other one.
        options: how the work is done.

    Returns:
        The results of all finished runs, which are also written into the folder.

    Raises:
        ConfigError: a run cannot work; nothing was written.
        RunFolderError: the folder holds other runs, or cannot be written.
        DataError: a dataset is not prepared.
        TrainingStopped: a signal to stop was received, and the runs are saved.
    """
    if jobs < 1:
        raise ConfigError(f"--jobs: {jobs} was given; give 1 or more")
    if jobs > 1 and study.source is None:
        raise ConfigError(
            "jobs: several processes read the study from its file; load it with "
            "studies.load_study(FILE), or give jobs=1"
        )
    # The package that decides must not be missed only after hours of training.
    decide([0.0, 0.0])
    runs = plan_all(study)
    options = replace(options, waits=options.waits and not only)
    folder = StudyFolder(workdir)
    check_for_study(folder.workdir, study, [run.name for run in runs])
    folder.check(runs)
    chosen, costs = _choose(runs, only, options.data_dir)
    # Those of other runs are known where the study was started before.
    before = {**folder.costs(), **folder.source_costs()}
    known = {run.name: before[run.name] for run in runs if run.name in before}
    folder.start(study, known | costs, runs)
    for run in chosen:
        folder.clear_failure(run.name)
    if jobs > 1 and study.source is not None:
        names = [run.name for run in chosen]
        work_in_processes(study.source, folder.workdir, names, jobs, options)
    else:
        Worker(study, chosen, folder, options).work()
    results = collect(study, plan_runs(study), folder, plan_sources(study))
    write_results(results, folder.workdir)
    return results


def study_costs(study: Study, data_dir: str | None = None) -> dict[str, Cost]:
    """Returns the cost of each run of a study and of its sources, by name; all are checked.

    Args:
        study: the study.
        data_dir: TFDS data folder; None means TFDS's default.

    Raises:
        ConfigError: a run cannot work; the message names it.
        DataError: a dataset is not prepared.
    """
    return check_runs(plan_all(study), data_dir)


def _choose(
    runs: Sequence[PlannedRun], only: Sequence[str], data_dir: str | None
) -> tuple[list[PlannedRun], dict[str, Cost]]:
    """Returns the runs of some names and those that they start from, with their costs."""
    chosen = choose_runs(runs, only)
    costs = check_runs(chosen, data_dir)
    needed = {name for cost in costs.values() for name in cost.sources} - costs.keys()
    sources = [run for run in runs if run.name in needed]
    return [*sources, *chosen], check_runs(sources, data_dir) | costs
