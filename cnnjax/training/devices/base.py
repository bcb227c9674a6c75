"""What a placement is: it puts a state and its step on the devices of a mesh.

The step is the same pure function in each. Under `jit` it sees the whole batch, and the compiler
divides it over a mesh; under `pmap` every device runs it on its part of the batch, and the step
joins gradients, metric sums and batch statistics by sums over the mapped axis.
"""

import abc
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import jax
from jax.sharding import Mesh
from jaxtyping import Array

from cnnjax.training.devices.mesh import DATA
from cnnjax.training.devices.scope import NormScope
from cnnjax.training.devices.sharding import bytes_per_device
from cnnjax.training.step.state import TrainState


class Placement(abc.ABC):
    """Puts arrays on the devices of a mesh and compiles functions that run on all of them.

    A function that is compiled here takes its arrays whole. Where it has chosen the examples of a
    batch, it calls `split` on their positions, and what follows runs on each device's part.

    Args:
        mesh: the devices, with the axes `data` and `model`.
    """

    axis_name: str | None = None
    """The mapped axis, inside compiled functions; None where they see the whole batch."""

    def __init__(self, mesh: Mesh):
        self.mesh = mesh

    @property
    def shards(self) -> int:
        """Number of parts into which a batch is cut."""
        return self.mesh.shape[DATA]

    def round_up(self, size: int) -> int:
        """Returns the least batch size from `size` on that can be cut evenly.

        Args:
            size: number of examples.
        """
        return -(-size // self.shards) * self.shards

    @abc.abstractmethod
    def batch_statistics(self, scope: NormScope, batch: int) -> AbstractContextManager[Any]:
        """Returns `nn.batch_statistics` for batch norms that share statistics within the scope.

        It is entered inside the function that is compiled, around the passes through the network.

        Args:
            scope: which examples share their statistics: a `BatchNormScope`, or another object
                with its attributes.
            batch: examples, on all devices together, of one pass through the network.

        Raises:
            ConfigError: the examples cannot be grouped like that.
        """

    @abc.abstractmethod
    def split(self, values: Array) -> Array:
        """Returns, inside a compiled function, each device's part of a batch's values.

        Args:
            values: those of the whole batch, [batch, ...].
        """

    @abc.abstractmethod
    def replicate(self, tree: Any) -> Any:
        """Puts arrays whole on every device.

        Args:
            tree: a pytree of arrays in the host's memory.
        """

    @abc.abstractmethod
    def place(self, state: TrainState) -> TrainState:
        """Puts a state on the devices, as it is trained.

        Args:
            state: a whole state.
        """

    @abc.abstractmethod
    def put_batch(self, rows: Any) -> Any:
        """Puts a batch on the devices, each its part.

        Args:
            rows: a pytree of arrays [rows, ...] with this process's rows of the batch: of P
                processes, the first holds the first P-th of the batch, and so on.
        """

    @abc.abstractmethod
    def fetch(self, tree: Any) -> Any:
        """Returns whole arrays on the host from placed ones; all processes must call it.

        Args:
            tree: a pytree of placed arrays.
        """

    @abc.abstractmethod
    def compile_step(
        self, step: Callable, state: TrainState, *arguments: Any, often: bool = True
    ) -> Callable:
        """Compiles a function from (state, *arguments) to (state, sums) for placed arguments.

        The state's buffers are given to the result; the sums are whole on every device.

        Args:
            step: the function.
            state: a placed state, whose shapes and shardings are compiled for.
            *arguments: placed arguments, likewise.
            often: whether it runs often enough to be worth a program that cannot be stored.
        """

    @abc.abstractmethod
    def compile_sums(self, function: Callable) -> Callable:
        """Returns a compiled function like this one, with its result summed over a batch.

        Args:
            function: takes placed arguments and returns sums over the examples that it chose with
                `split`, weights included, so that examples of weight 0 count for nothing.
        """

    @abc.abstractmethod
    def compile_evaluation(self, function: Callable) -> Callable:
        """Returns a compiled function like this one, with its results whole on every device.

        Args:
            function: takes placed arguments and returns a pair: sums over the examples of its
                batch, and arrays with a row for each of them.
        """

    def layout(self) -> dict[str, Any]:
        """Returns the kind of parallelism and the mesh as JSON values."""
        devices = self.mesh.devices.flat
        return {
            "parallel": "jit" if self.axis_name is None else "pmap",
            "mesh": dict(self.mesh.shape),
            "processes": len({device.process_index for device in devices}),
        }

    def describe(self, state: TrainState) -> dict[str, Any]:
        """Returns layout, devices and bytes of a placed state's parameters as JSON values.

        Args:
            state: a placed state.
        """
        # Under pmap an array has a leading axis with a copy for each device.
        copies = 1 if self.axis_name is None else self.shards
        devices = self.mesh.devices.flat
        return {
            **self.layout(),
            "devices": [f"{device.device_kind} {device.id}" for device in devices],
            "parameter_bytes": sum(leaf.nbytes for leaf in jax.tree.leaves(state.params)) // copies,
            "parameter_bytes_per_device": bytes_per_device(state.params),
        }
