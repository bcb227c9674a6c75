"""The examples of a compiled step's batch, of all streams of a run."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Array

from cnnjax import data
from cnnjax.training.devices.placement import Placement
from cnnjax.training.loop.sources import ReadSource, ResidentSource, Source
from cnnjax.training.run import Run
from cnnjax.training.step.batch import Stored


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
        check = run.task.check_values
        for number, (name, stream) in enumerate(run.streams.items()):
            order = run.orders[name]
            arrays = stream.examples.arrays
            if arrays is not None and data.kept_on_device(stream.examples, options.resident):
                self.sources[name] = ResidentSource(arrays, order, placement)
            else:
                # What further streams hold, only the task knows.
                checked = check if number == 0 else None
                self.sources[name] = ReadSource(
                    stream.examples, order, placement, run.seed, options, checked
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
