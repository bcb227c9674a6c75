"""How a run is spread over devices: a program over a mesh, and which placement is asked for."""

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

from cnnjax import compiler, nn
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
        """See `Placement.batch_statistics`."""
        return nn.batch_statistics(groups=norm_groups(scope, batch, self.shards))

    def split(self, values: Array) -> Array:
        """See `Placement.split`."""
        return jax.lax.with_sharding_constraint(values, self._rows)

    def replicate(self, tree: Any) -> Any:
        """See `Placement.replicate`."""
        return jax.tree.map(lambda leaf: _put(leaf, self._whole), tree)

    def place(self, state: TrainState) -> TrainState:
        """See `Placement.place`."""
        specs = state_specs(state, self._specs)
        return jax.tree.map(
            lambda leaf, spec: _put(leaf, NamedSharding(self.mesh, spec)), state, specs
        )

    def put_batch(self, rows: Any) -> Any:
        """See `Placement.put_batch`."""
        return jax.tree.map(
            lambda leaf: jax.make_array_from_process_local_data(self._rows, leaf), rows
        )

    def fetch(self, tree: Any) -> Any:
        """See `Placement.fetch`."""
        return jax.tree.map(_host_array, tree)

    def compile_step(self, step: Callable, state: TrainState, *arguments: Any) -> Callable:
        """See `Placement.compile_step`."""
        shardings = jax.tree.map(lambda leaf: leaf.sharding, state)
        jitted = jax.jit(
            self._cut(step),
            donate_argnums=0,
            out_shardings=(shardings, self._whole),
            compiler_options=compiler.compiler_options(),
        )
        return jitted.lower(state, *arguments).compile()

    def compile_sums(self, function: Callable) -> Callable:
        """See `Placement.compile_sums`."""
        return compiler.jit(self._cut(function), out_shardings=self._whole)

    compile_evaluation = compile_sums

    def _cut(self, function: Callable) -> Callable:
        """Returns the function with its grouped convolutions cut along the batch."""

        @functools.wraps(function)
        def cut(*arguments: Any) -> Any:
            with nn.batch_over(self.mesh, DATA):
                return function(*arguments)

        return cut


def make_placement(parallel: Parallel, params: Any, batch_size: int, parts: int = 1) -> Placement:
    """Returns the placement that is asked for.

    Args:
        parallel: what is asked for.
        params: the parameters' shapes.
        batch_size: examples of a step.
        parts: number of parts into which a step cuts its batch, one after another.

    Raises:
        ConfigError: devices, batch or parameters do not allow it; how to mend it is said.
    """
    mesh = make_mesh(parallel, batch_size, parts)
    if parallel.mode == "pmap":
        return ReplicaPlacement(mesh)
    return MeshPlacement(mesh, parameter_specs(params, parallel.rules(), mesh.shape[MODEL]))


def _put(leaf: Any, sharding: NamedSharding) -> Array:
    """Puts an array that every process has whole on the devices, each its part."""
    if sharding.is_fully_addressable:
        return jax.device_put(jnp.asarray(leaf), sharding)
    whole = np.asarray(leaf)
    return jax.make_array_from_callback(whole.shape, sharding, lambda index: whole[index])


def _host_array(leaf: Array) -> np.ndarray:
    if leaf.is_fully_addressable or leaf.is_fully_replicated:
        return np.asarray(leaf)
    return np.asarray(multihost_utils.process_allgather(leaf, tiled=True))
