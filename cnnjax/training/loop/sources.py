"""Sources of a stream's examples: a set on the device, or batches read ahead of the steps."""

import abc
import time
from collections.abc import Callable, Generator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from cnnjax import data
from cnnjax.training.devices.placement import Placement
from cnnjax.training.errors import ConfigError
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
        check: refuses values of a batch that the task cannot use, by a ValueError.

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
        check: Callable[[Mapping[str, np.ndarray]], None] | None = None,
    ):
        self._examples = examples
        self._order = order
        self._placement = placement
        self._seed = seed
        self._options = options
        self._check = check
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
            ConfigError: the task cannot use what was read.
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
        batch = next(self._batches)
        if self._check is not None:
            try:
                self._check(batch)
            except ValueError as error:
                raise ConfigError(str(error)) from error
        return batch

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
