"""What a step is given to make its batch of: a set on the device, or a batch streamed to it."""

import abc
import time
from collections.abc import Generator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int32

from cnnjax import data
from cnnjax.recipes.plan import Plan
from cnnjax.training.devices.placement import Placement
from cnnjax.training.step.pipeline import gather, take_positions

Stored = Mapping[str, Array]
"""`image` uint8 [batch, h, w, channels], `label` and `position` int32 [batch], `weight` float32."""


class Feed(abc.ABC):
    """Gives each step its examples: which ones depends on the seed and the step's number alone.

    Attributes:
        waited_seconds: how long the steps waited for their images, in all.
        damaged: names of the images that cannot be read, with what is wrong with them.
    """

    waited_seconds: float = 0.0
    damaged: Mapping[str, str] = {}

    @abc.abstractmethod
    def arguments(self, step: int) -> tuple[Any, ...]:
        """Returns placed arrays from which the compiled step of that number makes its batch."""

    @abc.abstractmethod
    def stored(self, step_in_epoch: Array, *arguments: Any) -> Stored:
        """Inside the compiled step: the batch as it is stored, on each device its part."""

    @abc.abstractmethod
    def host_batch(self, step: int) -> Mapping[str, np.ndarray]:
        """Returns a step's whole batch as it is stored, in the host's memory."""

    @abc.abstractmethod
    def close(self) -> None:
        """Stops what works ahead."""


class ResidentFeed(Feed):
    """A set that lies on every device whole.

    Args:
        plan: the run.
        examples: the training examples, in memory.
        placement: the devices.
    """

    def __init__(self, plan: Plan, examples: data.Examples, placement: Placement):
        self._plan = plan
        self._examples = examples
        self._placement = placement
        self._placed = placement.replicate((examples.column("image"), examples.column("label")))
        self._key = plan.keys()["order"]
        self._epoch = -1
        self._placed_order: Any = None

    def arguments(self, step: int) -> tuple[Any, ...]:
        """See `Feed.arguments`."""
        epoch = step // self._plan.epoch_steps
        if epoch != self._epoch:
            self._epoch, self._placed_order = epoch, self._placement.replicate(self._order(epoch))
        return (*self._placed, self._placed_order)

    def stored(self, step_in_epoch: Array, *arguments: Any) -> Stored:
        """See `Feed.stored`."""
        images, labels, order = arguments
        positions = take_positions(order, step_in_epoch, self._plan.config.data.batch_size)
        return gather(images, labels, self._placement.split(positions))

    def host_batch(self, step: int) -> Mapping[str, np.ndarray]:
        """See `Feed.host_batch`."""
        epoch, step_in_epoch = divmod(step, self._plan.epoch_steps)
        size = self._plan.config.data.batch_size
        positions = np.asarray(take_positions(self._order(epoch), jnp.int32(step_in_epoch), size))
        return {
            **self._examples.take(positions),
            "weight": np.ones(size, np.float32),
            "position": positions,
        }

    def close(self) -> None:
        """See `Feed.close`; nothing works ahead."""

    def _order(self, epoch: int) -> Int32[Array, " examples"]:
        return data.epoch_order(self._key, epoch, len(self._examples))


class StreamedFeed(Feed):
    """A set that is decoded as it is needed, some batches ahead of the steps.

    Args:
        plan: the run.
        images: the training examples.
        placement: the devices.
        inputs: who decodes, and how many images may be damaged.
    """

    def __init__(
        self, plan: Plan, images: data.Examples, placement: Placement, inputs: data.ReadOptions
    ):
        self._plan = plan
        self._images = images
        self._placement = placement
        self._inputs = inputs
        self._stream = self._open(jax.process_index(), jax.process_count())
        self.damaged = self._stream.damaged
        self._batches: Generator[Mapping[str, np.ndarray]] | None = None
        self._next_step = -1
        self._given: tuple[int, Stored] | None = None

    def _open(self, process_index: int, process_count: int) -> data.Reader:
        config = self._plan.config
        order = data.ShuffledOrder(
            self._plan.keys()["order"], len(self._images), config.data.batch_size
        )
        return data.Reader(
            self._images,
            order,
            seed=config.seed,
            process_index=process_index,
            process_count=process_count,
            workers=self._inputs.workers,
            max_damaged=self._inputs.max_damaged,
        )

    def arguments(self, step: int) -> tuple[Any, ...]:
        """See `Feed.arguments`.

        Raises:
            DamagedImages: too many images cannot be read.
            DataError: the set is gone.
        """
        if self._given is None or self._given[0] != step:
            begun = time.perf_counter()
            batch = self._take(step)
            self.waited_seconds += time.perf_counter() - begun
            # The host runs ahead of the devices: the batch is there before they come to it.
            self._given = step, self._placement.put_batch(dict(batch))
        return (self._given[1],)

    def _take(self, step: int) -> Mapping[str, np.ndarray]:
        if self._batches is None or step != self._next_step:
            self.close()
            self._batches = self._stream.batches(step)
        self._next_step = step + 1
        return next(self._batches)

    def stored(self, step_in_epoch: Array, *arguments: Any) -> Stored:
        """See `Feed.stored`."""
        del step_in_epoch  # the order was made on the host
        (batch,) = arguments
        return batch

    def host_batch(self, step: int) -> Mapping[str, np.ndarray]:
        """See `Feed.host_batch`."""
        batches = self._open(process_index=0, process_count=1).batches(step)
        try:
            return next(batches)
        finally:
            batches.close()

    def close(self) -> None:
        """See `Feed.close`."""
        if self._batches is not None:
            self._batches.close()
            self._batches = None


def make_feed(
    plan: Plan, examples: data.Examples, placement: Placement, inputs: data.ReadOptions
) -> Feed:
    """Returns what gives a run's steps their examples.

    Raises:
        ValueError: the processes cannot share a batch evenly.
    """
    if examples.arrays is not None:
        return ResidentFeed(plan, examples, placement)
    return StreamedFeed(plan, examples, placement, inputs)
