"""Several processes on one machine that work on a study or search, each on its share of cores."""

import logging
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax

from cnnjax.studies.folder import StudyFolder
from cnnjax.studies.load import load
from cnnjax.studies.plan import choose_runs, plan_all
from cnnjax.studies.search.search import Search
from cnnjax.studies.search.worker import work_on_search
from cnnjax.studies.study import Source
from cnnjax.studies.worker import Worker, WorkOptions
from cnnjax.training.devices.allocator import keep_freed_memory
from cnnjax.training.errors import ConfigError, FolderWriteError, TrainingStopped
from cnnjax.training.loop.stopping import StopRequest

_USELESS, _UNWRITABLE, _STOPPED = 2, 3, 75
"""How a process ends that could not go on."""

_KILLED = ": it was killed, maybe for want of memory; give fewer --jobs"

_logger = logging.getLogger(__name__)


def work_in_processes(
    source: Source, workdir: Path, names: Sequence[str], jobs: int, options: WorkOptions
) -> None:
    """Runs several processes until all runs are finished or have failed.

    Each gets an equal share of the cores, where there are enough. If this process ends, they save
    and end too.

    Args:
        source: where the study is read from.
        workdir: the study's folder, which was started.
        names: of the runs.
        jobs: number of processes.
        options: how they work.

    Raises:
        TrainingStopped: a signal to stop was received, and the runs are saved.
        FolderWriteError: the folder cannot be written any more.
        ConfigError: no run can work.
    """
    # A forked process would share the threads' locks of this one.
    context = multiprocessing.get_context("spawn")
    cache = jax.config.jax_compilation_cache_dir  # pyright: ignore[reportAttributeAccessIssue]
    processes = [
        context.Process(
            target=_work, args=(source, workdir, tuple(names), cores, cache, options), name=f"{i}"
        )
        for i, cores in enumerate(shares(jobs))
    ]
    with StopRequest() as stop:
        for process in processes:
            process.start()
        passed_on = False
        while alive := [process for process in processes if process.is_alive()]:
            multiprocessing.connection.wait([p.sentinel for p in alive], timeout=0.5)
            if stop.signal is not None and not passed_on:
                # Those of a terminal have received Ctrl-C too; a second signal changes nothing.
                for process in alive:
                    process.terminate()
                passed_on = True
    codes = [process.exitcode for process in processes]
    if stop.signal is not None or _STOPPED in codes:
        raise TrainingStopped(
            f"stopped by {stop.signal or 'a signal'}; start the same command again to go on"
        )
    if _UNWRITABLE in codes:
        raise FolderWriteError(f"workdir: {workdir} cannot be written now; see the message above")
    if _USELESS in codes:
        raise ConfigError("the processes cannot work; see the message above")
    for process in processes:
        if process.exitcode:
            # The others have taken its run, and the results name what is not finished.
            _logger.error(
                "process %s of the study ended with code %d%s",
                *(process.name, process.exitcode, _KILLED if process.exitcode < 0 else ""),
            )


def shares(jobs: int) -> list[tuple[int, ...]]:
    """Returns the cores of each of some processes; none where there are fewer cores than processes.

    Args:
        jobs: number of processes.
    """
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    size = len(cores) // jobs
    return [tuple(cores[i * size : (i + 1) * size]) for i in range(jobs)]


def _work(
    source: Source,
    workdir: Path,
    names: tuple[str, ...],
    cores: tuple[int, ...],
    cache: Any,
    options: WorkOptions,
) -> None:
    """Works on the study; the target of each process."""
    if cores:
        # Before jax starts its threads, one for each core.
        os.sched_setaffinity(0, cores)
    _log_to_standard_error()
    jax.config.update("jax_compilation_cache_dir", cache)
    keep_freed_memory()
    threading.Thread(target=stop_with_parent, daemon=True).start()
    try:
        study = load(source.file, source.scale)
        if isinstance(study, Search):
            work_on_search(study, StudyFolder(workdir), options, names)
        else:
            runs = choose_runs(plan_all(study), names)
            Worker(study, runs, StudyFolder(workdir), options).work()
    except TrainingStopped as stopped:
        _logger.info("%s", stopped)
        sys.exit(_STOPPED)
    except FolderWriteError as error:
        _logger.error("%s", error)
        sys.exit(_UNWRITABLE)
    except ConfigError as error:
        _logger.error("%s", error)
        sys.exit(_USELESS)
    except KeyboardInterrupt:
        sys.exit(_STOPPED)


def _log_to_standard_error() -> None:
    import absl.logging

    absl.logging.set_verbosity(absl.logging.WARNING)
    logger = logging.getLogger("cnnjax")
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
        logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False


def stop_with_parent() -> None:
    """Stops this process as SIGTERM does when the process that started it has ended."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)
