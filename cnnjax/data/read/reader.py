"""Batches of examples that are read in parallel, ahead of the steps that use them.

The batch of a step is a function of the seed and the step's number, for any number of threads,
processes and hosts, so that a resumed run gets the same batches as one that was not interrupted.
"""

import contextlib
import logging
import os
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np
from absl import flags

from cnnjax.data.blank import blank_parts
from cnnjax.data.errors import DamagedImages
from cnnjax.data.examples import Examples
from cnnjax.data.orders import Order
from cnnjax.data.read.decode import DamagedImage
from cnnjax.data.read.order import EvaluationOrder, Slots
from cnnjax.extras import installed_with

_logger = logging.getLogger(__name__)

HostBatch = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Workers:
    """The threads and processes that decode; results do not depend on them.

    Attributes:
        threads: threads per process, each of which makes whole batches; None for one per CPU core.
        processes: processes besides the one that trains; 0 decodes in that one. Threads are enough
            unless Python's own part of the work, which only one thread at a time can do, takes
            longest.
    """

    threads: int | None = None
    processes: int = 0

    def __post_init__(self) -> None:
        if (self.threads is not None and self.threads < 1) or self.processes < 0:
            raise ValueError(
                f"workers: {self.threads} threads and {self.processes} processes were given; "
                "give 1 thread or more, and 0 processes or more"
            )


class _BatchMaker:
    """Makes a host's part of any step's batch: a function of the step."""

    def __init__(
        self,
        examples: Examples,
        order: Order | EvaluationOrder,
        seed: int,
        process_index: int,
        process_count: int,
    ):
        self._examples = examples
        self._order = order
        self._seed = seed
        rows = order.batch_size // process_count
        self._own = range(process_index * rows, (process_index + 1) * rows)
        self._blocks: dict[int, np.ndarray] = {}

    def __call__(self, step: int) -> tuple[dict[str, np.ndarray], list[tuple[str, str]]]:
        """Returns the batch, and the name and problem of each unreadable image in it."""
        slots = self._slots(step)
        own = slice(self._own.start, self._own.stop)
        # Copied, since the order keeps its weights, and damaged images set some to 0 below.
        positions, weights = slots.positions[own], slots.weights[own].copy()
        # New arrays for each batch: JAX may keep on using those it was given.
        parts = blank_parts(self._examples.spec, len(self._own))
        damaged = []
        for row, position in enumerate(positions.tolist()):
            if not weights[row]:
                continue
            try:
                example = self._examples.read(position, self._generator(step, row, position))
            except (DamagedImage, OSError) as error:
                weights[row] = 0
                damaged.append((self._examples.name(position), str(error)))
                continue
            for name, part in parts.items():
                part[row] = example[name]
        return {**parts, "weight": weights, "position": positions}, damaged

    def _slots(self, step: int) -> Slots:
        if isinstance(self._order, EvaluationOrder):
            return self._order(step)
        number, row = divmod(step, self._order.block_steps)
        blocks = self._blocks  # read once: threads replace it
        if number not in blocks:
            # The neighbors are kept: around the end of a block, threads work on both sides of it.
            kept = {other: blocks[other] for other in blocks if abs(other - number) == 1}
            blocks = self._blocks = {**kept, number: self._order.block(number)}
        return Slots(blocks[number][row], np.ones(self._order.batch_size, np.float32))

    def _generator(self, step: int, row: int, position: int) -> np.random.Generator | None:
        """Returns a generator for this use of one example; None in evaluation."""
        if isinstance(self._order, EvaluationOrder):
            return None
        if self._order.repeats:
            # The last number distinguishes these draws from those of an epoch.
            drawn_by = [self._seed, step, self._own[row], 1]
        else:
            drawn_by = [self._seed, step // self._order.block_steps, position]
        # Named, since NumPy may change the generator behind `default_rng`.
        return np.random.Generator(np.random.PCG64(drawn_by))


@dataclass
class Reader:
    """Batches of examples, read ahead.

    Attributes:
        examples: the examples.
        order: decides which of them are in each batch.
        seed: framing is drawn from it, the epoch and the example's position; where an example may
            come twice in an epoch, from the seed, the step and the row.
        process_index: this host's number; hosts decode disjoint parts of each batch.
        process_count: number of hosts.
        workers: threads and processes that decode.
        max_damaged: largest number of unreadable images, in all, with which the reader goes on.
        damaged: the unreadable images so far: their names and the problem with each.
        waited_seconds: how long the consumer waited for batches, in all.

    Raises:
        ValueError: the hosts cannot share a batch evenly.
    """

    examples: Examples
    order: Order | EvaluationOrder
    seed: int = 0
    process_index: int = 0
    process_count: int = 1
    workers: Workers = field(default_factory=Workers)
    max_damaged: int = 10
    damaged: dict[str, str] = field(default_factory=dict)
    waited_seconds: float = 0.0
    _started: float | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.order.batch_size % self.process_count:
            raise ValueError(
                f"batch_size: {self.order.batch_size} examples cannot be shared evenly by "
                f"{self.process_count} hosts; choose a multiple of {self.process_count}"
            )

    @property
    def waiting_share(self) -> float:
        """Share of the time since the first batch was requested in which the consumer waited."""
        if self._started is None:
            return 0.0
        # Not zero, even where the clock has not moved.
        return self.waited_seconds / max(time.perf_counter() - self._started, 1e-9)

    def batches(self, first_step: int = 0) -> Generator[HostBatch]:
        """Yields this host's part of the batch of `first_step`, and of each step after it.

        Close the iterator to stop the workers; they also stop at its end and after an error.

        Args:
            first_step: the step of the first batch, from 0.

        Yields:
            The parts of the examples, each [batch, ...], `weight` float32 [batch], 0 for examples
            that fill up the batch and for damaged images, which are gray, and `position` int32
            [batch].

        Raises:
            DamagedImages: more than `max_damaged` images cannot be read; the message names all.
            DataError: the set is gone.
        """
        if self._started is None:
            self._started = time.perf_counter()
        with contextlib.closing(self._elements(first_step)) as elements:
            while True:
                start = time.perf_counter()
                element = next(elements, None)
                self.waited_seconds += time.perf_counter() - start
                if element is None:
                    return
                batch, damaged = element
                self._note(damaged)
                if self.workers.processes:
                    # Copied, since grain reuses the shared memory that the arrays are in.
                    batch = {name: np.array(part) for name, part in batch.items()}
                yield batch

    def _elements(self, first_step: int) -> Any:
        """Returns grain's iterator over batches in order, which workers read ahead."""
        with installed_with("train"):
            import grain

        threads = self.workers.threads or os.cpu_count() or 1
        # A training order has no end, but grain needs one.
        last_step = self.order.steps if isinstance(self.order, EvaluationOrder) else 2**31 - 1
        make_batch = _BatchMaker(
            self.examples, self.order, self.seed, self.process_index, self.process_count
        )
        # An element is a whole batch, so that threads and processes do not change its content.
        ahead = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=threads + 1)
        steps = grain.MapDataset.range(first_step, last_step)
        batches = steps.map(make_batch).to_iter_dataset(ahead)
        if self.workers.processes:
            if not flags.FLAGS.is_parsed():
                flags.FLAGS.mark_as_parsed()  # grain's processes read absl flags
            options = grain.MultiprocessingOptions(self.workers.processes, 2)
            batches = batches.mp_prefetch(options, worker_init_fn=_start_worker)
        return iter(batches)

    def _note(self, damaged: list[tuple[str, str]]) -> None:
        for name, problem in damaged:
            if name not in self.damaged:
                self.damaged[name] = problem
                _logger.warning("a damaged image is left out: %s (%s)", name, problem)
        if len(self.damaged) > self.max_damaged:
            raise DamagedImages(
                f"unreadable images: {len(self.damaged)}, more than the {self.max_damaged} that "
                "--max_damaged allows; repair or remove them:\n  "
                + "\n  ".join(f"{name}: {problem}" for name, problem in self.damaged.items())
            )


def _start_worker(worker_index: int, worker_count: int) -> None:
    """Keeps a decoding process off the accelerators, which the training process uses."""
    del worker_index, worker_count
    jax.config.update("jax_platforms", "cpu")
