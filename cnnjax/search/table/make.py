"""Making the table: each cell is trained and measured, by any number of processes, and resumed."""

import logging
import multiprocessing
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import jax

from cnnjax.search.cells.cost import net_cost
from cnnjax.search.cells.genome import Genome
from cnnjax.search.cells.net import CellNet
from cnnjax.search.cells.training import QuickTraining, train_quickly
from cnnjax.search.errors import SearchError
from cnnjax.search.table.digits import IMAGE_SIZE, VALIDATION, digit_sets
from cnnjax.search.table.table import (
    NETWORK,
    SPACE,
    Cells,
    MeasuredCell,
    read_cells,
    write_cells,
)
from cnnjax.training.folder.differences import differences
from cnnjax.training.folder.environment import describe_environment

SEEDS = (0, 1, 2)
"""The seeds of each cell's three trainings."""

TRAINING = QuickTraining(epochs=20, batch_size=93, learning_rate=0.01)
"""How each cell is trained: 180 steps on 837 digits."""

_logger = logging.getLogger(__name__)


def describe_table(training: QuickTraining = TRAINING) -> dict[str, Any]:
    """Returns what distinguishes the table from others, as JSON values.

    Args:
        training: how the cells are trained.
    """
    return {
        "space": {**asdict(SPACE), "operations": list(SPACE.operations)},
        "network": dict(NETWORK),
        "training": asdict(training),
        "seeds": list(SEEDS),
        "data": f"digits, {VALIDATION} of the training split held out",
        "images": {"validation": VALIDATION, "test": 360},
    }


def measure_cell(genome: Genome, training: QuickTraining = TRAINING) -> MeasuredCell:
    """Trains a cell with each seed, and returns what was measured.

    Args:
        genome: the cell.
        training: how it is trained.
    """
    start = time.process_time()
    fields: dict[str, Any] = dict(NETWORK)
    net = CellNet(genome=genome, **fields)
    sets = digit_sets()
    held_out = {"validation": sets.validation, "test": sets.test}
    counts = train_quickly(net, sets.train, held_out, SEEDS, training)
    cost = net_cost(net, IMAGE_SIZE)
    return MeasuredCell(
        genome,
        tuple(counts["validation"]),
        tuple(counts["test"]),
        cost.multiply_adds,
        cost.parameters,
        round(time.process_time() - start, 1),
    )


def make_table(
    path: str | Path,
    *,
    jobs: int = 1,
    genomes: Sequence[Genome] | None = None,
    training: QuickTraining = TRAINING,
) -> Cells:
    """Measures the cells that a table's file lacks, and writes it after each one.

    Args:
        path: the table's file; a file that is there is completed.
        jobs: number of processes, each on one core.
        genomes: the cells to measure; None for all of the space.
        training: how they are trained.

    Returns:
        The table.

    Raises:
        SearchError: the file is damaged, or has another table; or `jobs` is less than 1.
    """
    path = Path(path)
    if jobs < 1:
        raise SearchError(f"jobs: {jobs} was given; give 1 or more")
    wanted = SPACE.distinct() if genomes is None else list(genomes)
    order = {genome: number for number, genome in enumerate(SPACE.distinct())}
    table = _start_table(path, training)
    known = {cell.genome for cell in table.cells}
    left = [genome for genome in wanted if genome not in known]
    # The next cell waits for a process that is free, so the longest ones should not come last.
    left.sort(key=lambda genome: -str(genome).count("conv"))
    began = time.monotonic()
    for done, cell in enumerate(_measured(left, jobs, training), start=1):
        cells = sorted((*table.cells, cell), key=lambda cell: order[cell.genome])
        table = replace(table, environment=_environment(), cells=tuple(cells))
        write_cells(path, table)
        passed = time.monotonic() - began
        _logger.info(
            "%d of %d cells, %.0f s, about %.0f s left; %.1f s of a core: %s",
            *(len(cells), len(wanted), passed, passed / done * (len(left) - done)),
            *(cell.seconds, cell.genome),
        )
    return table


def _environment() -> dict[str, Any]:
    described = describe_environment()
    # Which share of the machine this process has is of no interest.
    return {name: described[name] for name in ("versions", "devices", "machine")}


def _start_table(path: Path, training: QuickTraining) -> Cells:
    """Returns the table that a file holds, or an empty one where there is no file."""
    description = describe_table(training)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        return Cells(description)
    table = read_cells(path)
    differing = [
        f"{name} is {there!r} there, {here!r} here"
        for name, there, here in differences(dict(table.description), description)
    ]
    if differing:
        raise SearchError(
            f"table: {path} holds another table: {'; '.join(differing[:5])}; give another file"
        )
    return table


def _measured(
    genomes: Sequence[Genome], jobs: int, training: QuickTraining
) -> Iterator[MeasuredCell]:
    """Returns the cells in the order in which they are finished."""
    if jobs == 1:
        yield from (measure_cell(genome, training) for genome in genomes)
        return
    # A forked process would share the threads' locks of this one.
    context = multiprocessing.get_context("spawn")
    started = context.Value("i", 0)
    pool = ProcessPoolExecutor(jobs, context, initializer=_use_one_core, initargs=(started,))
    try:
        tasks = [pool.submit(measure_cell, genome, training) for genome in genomes]
        for task in as_completed(tasks):
            yield task.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _use_one_core(started: Any) -> None:
    """Restricts a process to one core, before jax starts its threads."""
    with started.get_lock():
        number = started.value
        started.value += 1
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[number % len(cores)]})
    # Small programs in many processes: an accelerator would be shared by all of them.
    jax.config.update("jax_platforms", "cpu")
