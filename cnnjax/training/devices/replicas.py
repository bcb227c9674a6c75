"""The placement of `--parallel=pmap`: a replica of the state on each device."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array

from cnnjax import nn, ops
from cnnjax.training.devices.base import Placement
from cnnjax.training.devices.mesh import DATA
from cnnjax.training.devices.scope import NormScope, norm_groups
from cnnjax.training.errors import ConfigError
from cnnjax.training.step.state import TrainState


class ReplicaPlacement(Placement):
    """A replica of the state on each device; placed arrays have a leading axis of devices."""

    axis_name = DATA

    def __init__(self, mesh: Mesh):
        super().__init__(mesh)
        devices = mesh.devices.flatten()
        self._devices = list(devices)
        # The mesh that pmap itself makes of its devices: arrays on it need no moving.
        self._stacked = NamedSharding(Mesh(devices, (DATA,)), PartitionSpec(DATA))

    def batch_statistics(self, scope: NormScope, batch: int) -> AbstractContextManager[Any]:
        """See `Placement.batch_statistics`.

        Args:
            scope: which examples share their statistics.
            batch: examples, on all devices together, of one pass through the network.
        """
        shards = self.shards
        groups = norm_groups(scope, batch, shards)
        # Groups within a device need no communication.
        if groups % shards == 0:
            return nn.batch_statistics(groups=groups // shards)
        if groups == 1:
            return nn.batch_statistics(DATA)
        if shards % groups:
            raise ConfigError(
                f"batch_norm.group_size: groups of {scope.group_size} examples do not start and "
                f"end with the {batch // shards} of a device; choose a divisor or a multiple of "
                "that, or --parallel=jit"
            )
        # A group covers several whole devices.
        blocks = np.arange(shards).reshape(groups, -1)
        return nn.batch_statistics(DATA, axis_groups=blocks.tolist())

    def split(self, values: Array) -> Array:
        """See `Placement.split`.

        Args:
            values: those of the whole batch, [batch, ...].
        """
        size = len(values) // self.shards
        return jax.lax.dynamic_slice_in_dim(values, jax.lax.axis_index(DATA) * size, size)

    def replicate(self, tree: Any) -> Any:
        """See `Placement.replicate`.

        Args:
            tree: a pytree of arrays in the host's memory.
        """
        return jax.tree.map(lambda leaf: self._stack(np.asarray(leaf)[None]), tree)

    def place(self, state: TrainState) -> TrainState:
        """See `Placement.place`.

        Args:
            state: a whole state.
        """
        # Copies: on a CPU, devices would share the host's memory, which a step overwrites.
        return jax.tree.map(lambda leaf: self._stack(np.asarray(leaf)[None], copy=True), state)

    def put_batch(self, rows: Any) -> Any:
        """See `Placement.put_batch`.

        Args:
            rows: a pytree of this process's rows of the batch, [rows, ...].
        """
        local = sum(device.process_index == jax.process_index() for device in self._devices)
        return jax.tree.map(
            lambda leaf: jax.make_array_from_process_local_data(
                self._stacked, leaf.reshape(local, len(leaf) // local, *leaf.shape[1:])
            ),
            rows,
        )

    def fetch(self, tree: Any) -> Any:
        """See `Placement.fetch`.

        Args:
            tree: a pytree of placed arrays.
        """
        # All replicas are equal: the first one of this process is the whole.
        return jax.tree.map(lambda leaf: np.asarray(leaf.addressable_data(0))[0], tree)

    def compile_step(
        self, step: Callable, state: TrainState, *arguments: Any, often: bool = True
    ) -> Callable:
        """See `Placement.compile_step`.

        Args:
            step: the function from (state, *arguments) to (state, sums).
            state: a placed state.
            *arguments: placed arguments.
            often: see `Placement.compile_step`; the program is stored in any case.
        """
        del often
        # The sums are the same on all devices: one copy is returned.
        mapped = self._map(step, out_axes=(0, None), donate_argnums=0)
        return mapped.lower(state, *arguments).compile(compiler_options=ops.compiler_options())

    def compile_sums(self, function: Callable) -> Callable:
        """See `Placement.compile_sums`.

        Args:
            function: from placed arguments to sums over the examples that it chose.
        """
        return self._map(lambda *arguments: jax.lax.psum(function(*arguments), DATA), out_axes=None)

    def compile_evaluation(self, function: Callable) -> Callable:
        """See `Placement.compile_evaluation`.

        Args:
            function: from placed arguments to sums and rows.
        """

        def joined(*arguments: Any) -> Any:
            sums, rows = function(*arguments)
            return jax.lax.psum(sums, DATA), jax.tree.map(
                lambda leaf: jax.lax.all_gather(leaf, DATA, tiled=True), rows
            )

        return self._map(joined, out_axes=None)

    def _stack(self, whole: np.ndarray, copy: bool = False) -> Array:
        shape = (self.shards, *whole.shape[1:])
        return jax.make_array_from_callback(
            shape, self._stacked, lambda index: whole.copy() if copy else whole
        )

    def _map(self, function: Callable, **options: Any) -> Any:
        return jax.pmap(function, axis_name=DATA, devices=self._devices, **options)
