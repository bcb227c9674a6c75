"""The source of a compiled step's batch: sets on the device, or batches read ahead of it."""

import abc
import time
from collections.abc import Generator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from cnnjax import data
from cnnjax.training.devices.placement import Placement
from cnnjax.training.run import Run
from cnnjax.training.step.batch import Stored, draws_of


class Source(abc.ABC):
    """Gives each step stored examples of a stream, which depend on seed and step alone.

    Attributes:
        waited_seconds: how long the steps waited for their examples, in all.
        damaged: names of the examples that cannot be read, with what is wrong with them.
        may_be_empty: whether it can happen that no example of a step can be read.
    """

    waited_seconds: float = 0.0
    damaged: Mapping[str, str] = {}
    may_be_empty: bool = False

    @abc.abstractmethod
    def arguments(self, step: int) -> tuple[Any, ...]:
        """Returns placed arrays from which a compiled step takes its examples.

        Args:
            step: number of steps done before that step.
        """

    @abc.abstractmethod
    def stored(self, step: Array, *arguments: Any) -> Stored:
        """Returns, inside the compiled step, each device's part of the examples as they are stored.

        Args:
            step: number of steps done.
            *arguments: what `arguments` returned for the step.
        """

    @abc.abstractmethod
    def host_batch(self, step: int) -> Mapping[str, np.ndarray]:
        """Returns a step's whole batch of the stream as it is stored, in the host's memory.

        Args:
            step: number of steps done before that step.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """Stops reading ahead."""


class ResidentSource(Source):
    """A set that is whole on every device.

    Args:
        arrays: its parts.
        order: which examples each step takes.
        placement: the devices.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], order: data.Order, placement: Placement):
        self._arrays = arrays
        self._order = order
        self._placement = placement
        self._placed = placement.replicate(dict(arrays))
        self._block = -1
        self._placed_block: Any = None

    def arguments(self, step: int) -> tuple[Any, ...]:
        """See `Source.arguments`.

        Args:
            step: number of steps done.
        """
        block = step // self._order.block_steps
        # The positions of a block are placed once for all its steps.
        if block != self._block:
            self._block = block
            self._placed_block = self._placement.replicate(jnp.asarray(self._order.block(block)))
        return self._placed, self._placed_block

    def stored(self, step: Array, *arguments: Any) -> Stored:
        """See `Source.stored`.

        Args:
            step: number of steps done.
            *arguments: what `arguments` returned for the step.
        """
        arrays, block = arguments
        whole = jax.lax.dynamic_index_in_dim(block, step % self._order.block_steps, keepdims=False)
        positions = self._placement.split(whole)
        rows = self._placement.split(jnp.arange(len(whole), dtype=jnp.int32))
        return {
            **{name: values[positions] for name, values in arrays.items()},
            "weight": jnp.ones(positions.shape, jnp.float32),
            "position": positions,
            "draw": draws_of(positions, rows, self._order.repeats),
        }

    def host_batch(self, step: int) -> Mapping[str, np.ndarray]:
        """See `Source.host_batch`.

        Args:
            step: number of steps done.
        """
        number, place = divmod(step, self._order.block_steps)
        positions = np.asarray(self._order.block(number)[place])
        rows = np.arange(len(positions), dtype=np.int32)
        return {
            **{name: values[positions] for name, values in self._arrays.items()},
            "weight": np.ones(len(positions), np.float32),
            "position": positions,
            "draw": draws_of(positions, rows, self._order.repeats),
        }

    def close(self) -> None:
        """See `Source.close`; nothing is read ahead."""


class ReadSource(Source):
    """A set that is read and decoded as it is needed, some batches ahead of the steps.

    Args:
        examples: the set.
        order: which examples each step takes.
        placement: the devices.
        seed: what is drawn in reading comes from it.
        options: who decodes, and how many examples may be damaged.

    Raises:
        ValueError: the processes cannot share a batch evenly.
    """

    def __init__(
        self,
        examples: data.Examples,
        order: data.Order,
        placement: Placement,
        seed: int,
        options: data.ReadOptions,
    ):
        self._examples = examples
        self._order = order
        self._placement = placement
        self._seed = seed
        self._options = options
        self._reader = self._open(jax.process_index(), jax.process_count())
        self.damaged = self._reader.damaged
        own, most = order.batch_size // jax.process_count(), options.max_damaged
        # The reader stops above the allowed number; where examples repeat, one can fill a batch.
        self.may_be_empty = own <= most or (order.repeats and most > 0)
        self._batches: Generator[Mapping[str, np.ndarray]] | None = None
        self._next_step = -1
        self._given: tuple[int, Stored] | None = None

    def _open(self, process_index: int, process_count: int) -> data.Reader:
        return data.Reader(
            self._examples,
            self._order,
            seed=self._seed,
            process_index=process_index,
            process_count=process_count,
            workers=self._options.workers,
            max_damaged=self._options.max_damaged,
        )

    def arguments(self, step: int) -> tuple[Any, ...]:
        """See `Source.arguments`.

        Args:
            step: number of steps done.

        Raises:
            DamagedImages: too many images cannot be read.
            DataError: the set is gone.
        """
        # Compiling takes the arguments of the first step before that step does.
        if self._given is None or self._given[0] != step:
            start = time.perf_counter()
            batch = self._take(step)
            self.waited_seconds += time.perf_counter() - start
            first = jax.process_index() * len(batch["position"])
            # The host runs ahead of the devices, so that the batch is there when they need it.
            self._given = step, self._placement.put_batch(self._with_draws(batch, first))
        return (self._given[1],)

    def _take(self, step: int) -> Mapping[str, np.ndarray]:
        # The reader reads ahead in order; another step than the next one starts it anew.
        if self._batches is None or step != self._next_step:
            self.close()
            self._batches = self._reader.batches(step)
        self._next_step = step + 1
        return next(self._batches)

    def _with_draws(self, batch: Mapping[str, np.ndarray], first: int) -> dict[str, np.ndarray]:
        positions = batch["position"]
        rows = np.arange(first, first + len(positions), dtype=np.int32)
        return {**batch, "draw": draws_of(positions, rows, self._order.repeats)}

    def stored(self, step: Array, *arguments: Any) -> Stored:
        """See `Source.stored`.

        Args:
            step: number of steps done.
            *arguments: what `arguments` returned for the step.
        """
        del step  # the order was made on the host
        (batch,) = arguments
        return batch

    def host_batch(self, step: int) -> Mapping[str, np.ndarray]:
        """See `Source.host_batch`.

        Args:
            step: number of steps done.
        """
        # Another reader, since the run's own one has read ahead and reads only its part.
        batches = self._open(process_index=0, process_count=1).batches(step)
        try:
            return self._with_draws(next(batches), 0)
        finally:
            batches.close()

    def close(self) -> None:
        """See `Source.close`."""
        if self._batches is not None:
            self._batches.close()
            self._batches = None


class Batches:
    """The sources of all streams of a run.

    Args:
        run: the run.
        placement: the devices.
        options: how examples that are not in memory are read.

    Raises:
        ValueError: the processes cannot share a batch evenly.
    """

    def __init__(self, run: Run, placement: Placement, options: data.ReadOptions):
        self.sources: dict[str, Source] = {}
        for name, stream in run.streams.items():
            order = run.orders[name]
            arrays = stream.examples.arrays
            if arrays is not None and data.kept_on_device(stream.examples, options.resident):
                self.sources[name] = ResidentSource(arrays, order, placement)
            else:
                self.sources[name] = ReadSource(
                    stream.examples, order, placement, run.seed, options
                )

    def arguments(self, step: int) -> dict[str, tuple[Any, ...]]:
        """Returns the placed arrays of every stream for a step.

        Args:
            step: number of steps done before that step.
        """
        return {name: source.arguments(step) for name, source in self.sources.items()}

    def stored(self, step: Array, given: Mapping[str, tuple[Any, ...]]) -> dict[str, Stored]:
        """Returns, inside the compiled step, every stream's examples as they are stored.

        Args:
            step: number of steps done.
            given: what `arguments` returned for the step.
        """
        return {name: source.stored(step, *given[name]) for name, source in self.sources.items()}

    def host_batch(self, step: int) -> dict[str, Mapping[str, np.ndarray]]:
        """Returns every stream's whole batch as it is stored, in the host's memory.

        Args:
            step: number of steps done before that step.
        """
        return {name: source.host_batch(step) for name, source in self.sources.items()}

    @property
    def may_be_empty(self) -> bool:
        """Whether it can happen that no example of a step can be read, in any stream."""
        return all(source.may_be_empty for source in self.sources.values())

    @property
    def waited_seconds(self) -> float:
        """How long the steps waited for their examples, in all."""
        return sum(source.waited_seconds for source in self.sources.values())

    @property
    def damaged(self) -> dict[str, str]:
        """Names of examples that could not be read, with what is wrong with them."""
        return {
            name: why for source in self.sources.values() for name, why in source.damaged.items()
        }

    def close(self) -> None:
        """Stops reading ahead of the steps."""
        for source in self.sources.values():
            source.close()
