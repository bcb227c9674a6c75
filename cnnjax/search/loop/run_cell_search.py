"""A whole search over cells: checked, run by one process or several, chosen and tested."""

import logging
import multiprocessing
import os
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnnjax import parts
from cnnjax.search.errors import SearchError
from cnnjax.search.loop.cell_search import CellSearch
from cnnjax.search.loop.export import export_cell
from cnnjax.search.loop.folder import CellFolder, ChosenCell
from cnnjax.search.loop.worker import CellOptions, CellWorker
from cnnjax.search.strategies.pareto import pareto_front
from cnnjax.search.strategies.strategy import Evaluated
from cnnjax.studies.intervals import mean_and_half
from cnnjax.studies.processes import shares, stop_with_parent
from cnnjax.training.errors import ConfigError, FolderWriteError, RunFolderError, TrainingStopped
from cnnjax.training.loop.stopping import StopRequest
from cnnjax.writing import write_text

_USELESS, _UNWRITABLE, _STOPPED = 2, 3, 75
"""How a process ends that could not go on."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CellResults:
    """What a search over cells has found.

    Attributes:
        history: every evaluation, by number.
        front: those that no other one beats in score and multiply-adds at once.
        choice: the best cell on held-out examples.
        tested: test metrics of the chosen cell, trained from scratch, by seed.
    """

    history: tuple[Evaluated, ...]
    front: tuple[Evaluated, ...]
    choice: ChosenCell
    tested: Mapping[int, Mapping[str, float]]


def run_cell_search(
    search: CellSearch,
    workdir: str | Path,
    *,
    jobs: int = 1,
    name: str = "best_cell",
    options: CellOptions = CellOptions(),  # noqa: B008 (it cannot be changed)
) -> CellResults:
    """Evaluates the cells of a search, chooses the best, trains it from scratch and tests it.

    Any number of processes, on any machines that share the folder, may do this at once: at most
    `search.ahead` of them have work. Each evaluation is a file of its own, written when it is
    finished; a search that was killed goes on with the same cells.

    Args:
        search: the search.
        workdir: its folder, made if it does not exist.
        jobs: processes on this machine.
        name: of the model and the Python file that the chosen cell becomes.
        options: how the work is done.

    Returns:
        What was found, of which `results.md` in the folder is the summary.

    Raises:
        SearchError: the search cannot work, or a cell could not be evaluated.
        RunFolderError: the folder has another search, or cannot be written.
        TrainingStopped: a signal to stop was received.
    """
    if isinstance(jobs, bool) or not isinstance(jobs, int) or jobs < 1:
        raise SearchError(f"jobs: {jobs!r} was given; give a whole number from 1 on")
    if jobs > search.ahead:
        raise SearchError(
            f"jobs: {jobs} processes were asked for, but search.ahead={search.ahead} evaluations "
            "may be under way at once; give fewer jobs, or a search with a larger `ahead`"
        )
    search.check_budget()
    folder = CellFolder(workdir)
    folder.start(search)
    if jobs == 1:
        CellWorker(search, folder, options).work()
    else:
        _work_in_processes(search, folder.workdir, jobs, options)
    results = collect_cells(search, folder.workdir)
    export_cell(search, results.choice.genome, folder.workdir / "best", name)
    write_text(folder.workdir / "results.md", format_cells(results))
    return results


def collect_cells(search: CellSearch, workdir: str | Path) -> CellResults:
    """Returns what a finished search has found.

    Args:
        search: the search.
        workdir: its folder.

    Raises:
        RunFolderError: the search is not finished.
    """
    folder = CellFolder(workdir)
    history, choice = folder.history(), folder.choice()
    tested = {seed: folder.tested(seed) for seed in search.final_seeds}
    found = {seed: metrics for seed, metrics in tested.items() if metrics is not None}
    if choice is None or len(found) < len(tested):
        raise RunFolderError(
            f"workdir: the search in {workdir} is not finished: {len(history)} of "
            f"{search.evaluations} cells are evaluated; start the same command again to go on"
        )
    ordered = tuple(history[n] for n in range(choice.evaluations))
    return CellResults(ordered, tuple(pareto_front(ordered)), choice, found)


def format_cells(results: CellResults) -> str:
    """Returns a search's results as a page.

    Args:
        results: what was found.
    """
    choice = results.choice
    rows = [
        f"| {cell.number} | {cell.score:.4f} | {cell.multiply_adds:,} | {cell.parameters:,} | "
        f"`{str(cell.genome).replace('|', chr(92) + '|')}` |"
        for cell in results.front
    ]
    names = sorted(next(iter(results.tested.values())))
    tests = []
    for name in names:
        mean, half = mean_and_half([metrics[name] for metrics in results.tested.values()])
        interval = f" ± {half:.4f} (95 %)" if len(results.tested) > 1 else ""
        tests.append(f"- {name}: {mean:.4f}{interval}, {len(results.tested)} seeds")
    return "\n".join(
        [
            "# A search over cells",
            "",
            f"{len(results.history)} cells were evaluated. Number {choice.number} has the best "
            f"score on held-out examples, {choice.score:.4f}:",
            "",
            f"    {choice.genome}",
            "",
            "Trained from scratch and tested once:",
            "",
            *tests,
            "",
            "Cells that no other one beats in score and multiply-adds at once:",
            "",
            "| number | score | multiply-adds | parameters | cell |",
            "|--:|--:|--:|--:|---|",
            *rows,
            "",
        ]
    )


def _work_in_processes(search: CellSearch, workdir: Path, jobs: int, options: CellOptions) -> None:
    """Runs several processes until nothing is left; each has an equal share of the cores."""
    # A forked process would share the threads' locks of this one.
    context = multiprocessing.get_context("spawn")
    records = search.parts()
    processes = [
        context.Process(target=_work, args=(records, search, workdir, cores, options), name=f"{i}")
        for i, cores in enumerate(shares(jobs))
    ]
    with StopRequest() as stop:
        try:
            for process in processes:
                process.start()
        except (AttributeError, TypeError, OSError) as error:
            for process in processes:
                if process.pid is not None:
                    process.terminate()
            raise SearchError(
                f"jobs: the search can't be sent to other processes ({error}); give functions and "
                "classes of modules, or jobs=1"
            ) from error
        passed_on = False
        while any(process.is_alive() for process in processes):
            for process in processes:
                process.join(timeout=0.2)
            if stop.signal is not None and not passed_on:
                for process in processes:
                    process.terminate()
                passed_on = True
    codes = [process.exitcode for process in processes]
    if stop.signal is not None or _STOPPED in codes:
        raise TrainingStopped(
            f"stopped by {stop.signal or 'a signal'}; start the same command again to go on"
        )
    if _UNWRITABLE in codes:
        raise FolderWriteError(f"workdir: {workdir} cannot be written now; see the message above")
    if any(codes):
        raise SearchError("jobs: a process could not go on; see the message above")


def _work(
    records: list[dict[str, Any]],
    search: CellSearch,
    workdir: Path,
    cores: tuple[int, ...],
    options: CellOptions,
) -> None:
    """Works on the search; the target of each process."""
    if cores:
        # Before jax starts its threads, one for each core.
        os.sched_setaffinity(0, cores)
    parts.restore(records)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("cnnjax").setLevel(logging.INFO)
    threading.Thread(target=stop_with_parent, daemon=True).start()
    try:
        CellWorker(search, CellFolder(workdir), options).work()
    except TrainingStopped as stopped:
        _logger.info("%s", stopped)
        sys.exit(_STOPPED)
    except FolderWriteError as error:
        _logger.error("%s", error)
        sys.exit(_UNWRITABLE)
    except (ConfigError, RunFolderError) as error:
        _logger.error("%s", error)
        sys.exit(_USELESS)
    except KeyboardInterrupt:
        sys.exit(_STOPPED)
