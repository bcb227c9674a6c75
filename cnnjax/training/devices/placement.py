"""How a run is spread over devices: a program over a mesh, and the choice of a placement."""

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array

from cnnjax import compiler, nn, ops
from cnnjax.ops.conv import onednn
from cnnjax.training.devices.allocator import keep_temporaries
from cnnjax.training.devices.base import Placement
from cnnjax.training.devices.mesh import DATA, MODEL, Parallel, make_mesh
from cnnjax.training.devices.replicas import ReplicaPlacement
from cnnjax.training.devices.scope import BatchNormScope, NormScope, norm_groups
from cnnjax.training.devices.sharding import parameter_specs, state_specs
from cnnjax.training.step.state import TrainState

__all__ = ["BatchNormScope", "MeshPlacement", "Placement", "ReplicaPlacement", "make_placement"]


class MeshPlacement(Placement):
    """One program over a mesh, which the compiler divides by the shardings of its arrays.

    Args:
        mesh: the devices.
        specs: how each parameter is cut, see `sharding.parameter_specs`.
    """

    def __init__(self, mesh: Mesh, specs: Any):
        super().__init__(mesh)
        self._specs = specs
        self._whole = NamedSharding(mesh, PartitionSpec())
        self._rows = NamedSharding(mesh, PartitionSpec(DATA))

    def batch_statistics(self, scope: NormScope, batch: int) -> AbstractContextManager[Any]:
        """See `Placement.batch_statistics`.

        Args:
            scope: which examples share their statistics.
            batch: examples, on all devices together, of one pass through the network.
        """
        return nn.batch_statistics(groups=norm_groups(scope, batch, self.shards))

    def split(self, values: Array) -> Array:
        """See `Placement.split`.

        Args:
            values: those of the whole batch, [batch, ...].
        """
        return jax.lax.with_sharding_constraint(values, self._rows)

    def replicate(self, tree: Any) -> Any:
        """See `Placement.replicate`.

        Args:
            tree: a pytree of arrays in the host's memory.
        """
        return jax.tree.map(lambda leaf: _put(leaf, self._whole), tree)

    def place(self, state: TrainState) -> TrainState:
        """See `Placement.place`.

        Args:
            state: a whole state.
        """
        specs = state_specs(state, self._specs)
        return jax.tree.map(
            lambda leaf, spec: _put(leaf, NamedSharding(self.mesh, spec)), state, specs
        )

    def put_batch(self, rows: Any) -> Any:
        """See `Placement.put_batch`.

        Args:
            rows: a pytree of this process's rows of the batch, [rows, ...].
        """
        return jax.tree.map(
            lambda leaf: jax.make_array_from_process_local_data(self._rows, leaf), rows
        )

    def fetch(self, tree: Any) -> Any:
        """See `Placement.fetch`.

        Args:
            tree: a pytree of placed arrays.
        """
        return jax.tree.map(_host_array, tree)

    def compile_step(
        self, step: Callable, state: TrainState, *arguments: Any, often: bool = True
    ) -> Callable:
        """See `Placement.compile_step`.

        Args:
            step: the function from (state, *arguments) to (state, sums).
            state: a placed state.
            *arguments: placed arguments.
            often: see `Placement.compile_step`.
        """
        # The new state lies as the old one does, whose buffers it takes over.
        shardings = jax.tree.map(lambda leaf: leaf.sharding, state)
        program = onednn.compiled(
            self._cut(step),
            state,
            *arguments,
            often=often,
            donate_argnums=0,
            out_shardings=(shardings, self._whole),
        )
        if often:
            keep_temporaries(program)
        return program

    def compile_sums(self, function: Callable) -> Callable:
        """See `Placement.compile_sums`.

        Args:
            function: from placed arguments to sums over the examples that it chose.
        """
        return compiler.jit(self._cut(function), out_shardings=self._whole)

    def compile_evaluation(self, function: Callable) -> Callable:
        """See `Placement.compile_evaluation`.

        Args:
            function: from placed arguments to sums and rows.
        """
        return ops.jit(self._cut(function), out_shardings=self._whole)

    def _cut(self, function: Callable) -> Callable:
        """Returns the function with its grouped convolutions cut along the batch."""

        @functools.wraps(function)
        def cut(*arguments: Any) -> Any:
            with nn.batch_over(self.mesh, DATA):
                return function(*arguments)

        return cut


def make_placement(parallel: Parallel, params: Any, batch_size: int, parts: int = 1) -> Placement:
    """Returns the placement of a run.

    Args:
        parallel: how the run is spread over devices.
        params: the parameters' shapes.
        batch_size: examples of a step.
        parts: number of parts into which a step cuts its batch, one after another.

    Raises:
        ConfigError: devices, batch or parameters do not allow it; the message names a fix.
    """
    mesh = make_mesh(parallel, batch_size, parts)
    if parallel.mode == "pmap":
        return ReplicaPlacement(mesh)
    return MeshPlacement(mesh, parameter_specs(params, parallel.rules(), mesh.shape[MODEL]))


def _put(leaf: Any, sharding: NamedSharding) -> Array:
    """Puts an array that every process has whole on the devices, each its part."""
    # device_put reaches the devices of this process only.
    if sharding.is_fully_addressable:
        return jax.device_put(jnp.asarray(leaf), sharding)
    whole = np.asarray(leaf)
    return jax.make_array_from_callback(whole.shape, sharding, lambda index: whole[index])


def _host_array(leaf: Array) -> np.ndarray:
    # An array that is cut over processes has to be gathered from them.
    if leaf.is_fully_addressable or leaf.is_fully_replicated:
        return np.asarray(leaf)
    return np.asarray(multihost_utils.process_allgather(leaf, tiled=True))
