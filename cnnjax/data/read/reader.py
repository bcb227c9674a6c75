"""Batches of sets too large for memory: decoded side by side ahead of the step that takes them.

What batch a step gets is a function of the seed and the step's number, on any number of threads,
processes and hosts, so that a resumed run sees what it would have seen.
"""

import contextlib
import logging
import os
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags
from jaxtyping import Float32, Int32

from cnnjax.data.errors import DamagedImages
from cnnjax.data.read.decode import DamagedImage
from cnnjax.data.read.encoded import FILL, EncodedImages
from cnnjax.data.read.order import epoch_order, evaluation_batches, steps_per_epoch

_logger = logging.getLogger(__name__)

HostBatch = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Slots:
    """What a step's batch is made of, over all hosts.

    Attributes:
        positions: which examples.
        weights: 1 for those that count, 0 for those that fill up.
        epoch: the epoch in training; None in evaluation.
    """

    positions: Int32[np.ndarray, " batch"]
    weights: Float32[np.ndarray, " batch"]
    epoch: int | None


class Order(Protocol):
    """Says what the batch of each step is made of."""

    @property
    def batch_size(self) -> int:
        """Examples in a batch, over all hosts."""
        ...

    @property
    def steps(self) -> int | None:
        """Number of batches; None if there is no end."""
        ...

    def __call__(self, step: int) -> Slots:
        """Returns what the batch of the step after `step` steps is made of."""
        ...


class TrainingOrder:
    """Epoch after epoch, each in its own order: the same as that of sets kept on the device.

    Args:
        key: the run's key of the order.
        num_examples: size of the training split.
        batch_size: examples in a batch, over all hosts.
    """

    steps = None

    def __init__(self, key: jax.Array, num_examples: int, batch_size: int):
        # As an array it goes to other processes without touching a device there.
        self._key_data = np.asarray(jax.random.key_data(key))
        self._num_examples = num_examples
        self._epoch_steps = steps_per_epoch(num_examples, batch_size)
        self.batch_size = batch_size
        self._last: tuple[int, np.ndarray] | None = None

    def __call__(self, step: int) -> Slots:
        epoch, step_in_epoch = divmod(step, self._epoch_steps)
        begin = step_in_epoch * self.batch_size
        positions = self._order(epoch)[begin : begin + self.batch_size]
        return Slots(positions, np.ones(self.batch_size, np.float32), epoch)

    def _order(self, epoch: int) -> np.ndarray:
        last = self._last  # read once: threads replace it
        if last is None or last[0] != epoch:
            key = jax.random.wrap_key_data(jnp.asarray(self._key_data))
            last = epoch, np.asarray(epoch_order(key, epoch, self._num_examples))
            self._last = last
        return last[1]


class EvaluationOrder:
    """Every example once, in the order of the split; the last batch is filled up at weight 0.

    Args:
        num_examples: size of the split.
        batch_size: examples in a batch, over all hosts.
    """

    def __init__(self, num_examples: int, batch_size: int):
        self._batches = evaluation_batches(num_examples, batch_size)
        self.batch_size = batch_size
        self.steps = len(self._batches)

    def __call__(self, step: int) -> Slots:
        return Slots(*self._batches[step], epoch=None)


@dataclass(frozen=True)
class Workers:
    """Who decodes; results do not depend on it.

    Attributes:
        threads: threads per process, each at a batch of its own; None for one per CPU core.
        processes: processes besides the one that trains; 0 decodes in that one. Threads are enough
            until Python's own part of the work, which one thread at a time does, is what takes
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


@dataclass(frozen=True)
class _Reader:
    """Makes a host's part of any step's batch: a function of the step, without state."""

    images: EncodedImages
    order: Order
    seed: int
    process_index: int
    process_count: int

    def __call__(self, step: int) -> tuple[dict[str, np.ndarray], list[tuple[str, str]]]:
        """Returns the batch, and name and problem of each image in it that cannot be read."""
        slots = self.order(step)
        rows = self.order.batch_size // self.process_count
        own = slice(self.process_index * rows, (self.process_index + 1) * rows)
        positions, weights = slots.positions[own], slots.weights[own].copy()
        # New arrays for each batch: JAX may keep on using those it was given.
        images = np.full((rows, *self.images.image_shape), FILL, np.uint8)
        labels = np.zeros(rows, np.int32)
        damaged = []
        for row, position in enumerate(positions):
            if not weights[row]:
                continue
            try:
                images[row], labels[row] = self.images.read(
                    int(position), self._generator(slots.epoch, int(position))
                )
            except (DamagedImage, OSError) as error:
                weights[row] = 0
                damaged.append((self.images.name(int(position)), str(error)))
        batch = {"image": images, "label": labels, "weight": weights, "position": positions}
        return batch, damaged

    def _generator(self, epoch: int | None, position: int) -> np.random.Generator | None:
        if epoch is None:
            return None
        return np.random.Generator(np.random.PCG64([self.seed, epoch, position]))


@dataclass
class Stream:
    """Batches of a set, decoded ahead.

    Attributes:
        images: the examples.
        order: which of them each batch has.
        seed: what is drawn for framing comes from it, the epoch and the example's position.
        process_index: this host's number; hosts decode disjoint parts of each batch.
        process_count: number of hosts.
        workers: who decodes.
        max_damaged: how many images, over the stream's life, may be unreadable before it stops.
        damaged: names of the unreadable images met so far, with what is wrong with them.
        waited_seconds: how long the consumer waited for batches, in all.

    Raises:
        ValueError: the hosts cannot share a batch evenly.
    """

    images: EncodedImages
    order: Order
    seed: int = 0
    process_index: int = 0
    process_count: int = 1
    workers: Workers = field(default_factory=Workers)
    max_damaged: int = 10
    damaged: dict[str, str] = field(default_factory=dict)
    waited_seconds: float = 0.0
    _begun: float | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.order.batch_size % self.process_count:
            raise ValueError(
                f"batch_size: {self.order.batch_size} examples cannot be shared evenly by "
                f"{self.process_count} hosts; choose a multiple of {self.process_count}"
            )

    @property
    def waiting_share(self) -> float:
        """Share of the time since the first batch was asked for that the consumer waited."""
        if self._begun is None:
            return 0.0
        return self.waited_seconds / max(time.perf_counter() - self._begun, 1e-9)

    def batches(self, first_step: int = 0) -> Generator[HostBatch]:
        """Yields this host's part of the batch of `first_step`, and of each step after it.

        Close the iterator to stop the workers; being at its end or failing does so too.

        Yields:
            `image` uint8 [batch, height, width, channels], `label` int32 [batch], `weight` float32
            [batch], 0 for what fills up and for damaged images, `position` int32 [batch].

        Raises:
            DamagedImages: more than `max_damaged` images cannot be read; all are named.
            DataError: the set is gone.
        """
        if self._begun is None:
            self._begun = time.perf_counter()
        with contextlib.closing(self._elements(first_step)) as elements:
            while True:
                asked = time.perf_counter()
                element = next(elements, None)
                self.waited_seconds += time.perf_counter() - asked
                if element is None:
                    return
                batch, damaged = element
                self._note(damaged)
                if self.workers.processes:
                    # What came through shared memory must not outlive grain's hold on it.
                    batch = {name: np.array(part) for name, part in batch.items()}
                yield batch

    def _elements(self, first_step: int) -> Any:
        """Returns grain's iterator over batches: ordered, with workers ahead of it."""
        import grain

        threads = self.workers.threads or os.cpu_count() or 1
        last_step = 2**31 - 1 if self.order.steps is None else self.order.steps
        reader = _Reader(self.images, self.order, self.seed, self.process_index, self.process_count)
        # An element is a whole batch: then neither threads nor processes change what is in it.
        ahead = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=threads + 1)
        steps = grain.MapDataset.range(first_step, last_step)
        batches = steps.map(reader).to_iter_dataset(ahead)
        if self.workers.processes:
            if not flags.FLAGS.is_parsed():
                flags.FLAGS.mark_as_parsed()  # grain's processes ask for flags of its own
            options = grain.MultiprocessingOptions(self.workers.processes, 2)
            batches = batches.mp_prefetch(options, worker_init_fn=_begin_worker)
        return iter(batches)

    def _note(self, damaged: list[tuple[str, str]]) -> None:
        for name, problem in damaged:
            if name not in self.damaged:
                self.damaged[name] = problem
                _logger.warning("a damaged image is left out: %s (%s)", name, problem)
        if len(self.damaged) > self.max_damaged:
            raise DamagedImages(
                f"unreadable images: {len(self.damaged)}, more than the {self.max_damaged} that "
                "--max_damaged allows; mend or remove them:\n  "
                + "\n  ".join(f"{name}: {problem}" for name, problem in self.damaged.items())
            )


def _begin_worker(worker_index: int, worker_count: int) -> None:
    """Keeps a decoding process off the accelerators: it only computes the order of an epoch."""
    del worker_index, worker_count
    jax.config.update("jax_platforms", "cpu")
