"""How a run is spread over devices: placements, which put a state and its step on them.

The step is the same pure function in each. Under `jit` it sees the whole batch, and the compiler
divides it over a mesh; under `pmap` every device runs it on its part of the batch, and the step
joins gradients, metric sums and batch statistics by sums over the mapped axis.
"""

import abc
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array

from cnnjax import ops
from cnnjax.recipes.schema import BatchNormConfig
from cnnjax.training.devices.mesh import DATA, MODEL, Parallel, make_mesh
from cnnjax.training.devices.sharding import bytes_per_device, parameter_specs, state_specs
from cnnjax.training.errors import ConfigError
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
        """Returns the least batch size from `size` on that can be cut evenly."""
        return -(-size // self.shards) * self.shards

    @abc.abstractmethod
    def bind(self, model: nn.Module, scope: BatchNormConfig, batch: int) -> nn.Module:
        """Returns the network with batch statistics over what the configuration says.

        Args:
            model: a network with the fields of `models.net.Net`.
            scope: which examples share their statistics.
            batch: examples, on all devices together, of one pass through the network.

        Raises:
            ConfigError: they cannot be grouped like that.
        """

    @abc.abstractmethod
    def split(self, values: Array) -> Array:
        """Inside a compiled function: a batch's values [batch, ...], on each device its part."""

    @abc.abstractmethod
    def replicate(self, tree: Any) -> Any:
        """Puts arrays whole on every device."""

    @abc.abstractmethod
    def place(self, state: TrainState) -> TrainState:
        """Puts a state on the devices, as it is to be trained."""

    @abc.abstractmethod
    def put_batch(self, rows: Any) -> Any:
        """Puts a batch on the devices, each its part.

        Args:
            rows: arrays [rows, ...] with this process's rows of the batch: of P processes, the
                first holds the first P-th of the batch, and so on.
        """

    @abc.abstractmethod
    def fetch(self, tree: Any) -> Any:
        """Returns whole arrays on the host from placed ones; all processes must call it."""

    @abc.abstractmethod
    def compile_step(self, step: Callable, state: TrainState, *arguments: Any) -> Callable:
        """Compiles a function from (state, *arguments) to (state, sums) for placed arguments.

        The state's buffers are given to the result; the sums are whole on every device.
        """

    @abc.abstractmethod
    def compile_sums(self, function: Callable) -> Callable:
        """Returns a compiled function like this one, with its result summed over a batch.

        Args:
            function: takes placed arguments and returns sums over the examples that it chose with
                `split`, weights included, so that examples of weight 0 count for nothing.
        """

    @abc.abstractmethod
    def compile_rows(self, function: Callable) -> Callable:
        """Returns a compiled function like this one, with its results whole on every device.

        Args:
            function: takes placed arguments and returns arrays with a row for each of the examples
                that it chose with `split`.
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
        """Returns layout, devices and bytes of a placed state's parameters as JSON values."""
        copies = 1 if self.axis_name is None else self.shards
        devices = self.mesh.devices.flat
        return {
            **self.layout(),
            "devices": [f"{device.device_kind} {device.id}" for device in devices],
            "parameter_bytes": sum(leaf.nbytes for leaf in jax.tree.leaves(state.params)) // copies,
            "parameter_bytes_per_device": bytes_per_device(state.params),
        }


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

    def bind(self, model: nn.Module, scope: BatchNormConfig, batch: int) -> nn.Module:
        """See `Placement.bind`."""
        return model.clone(norm_groups=_norm_groups(scope, batch, self.shards))

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
            step,
            donate_argnums=0,
            out_shardings=(shardings, self._whole),
            compiler_options=ops.compiler_options(),
        )
        return jitted.lower(state, *arguments).compile()

    def compile_sums(self, function: Callable) -> Callable:
        """See `Placement.compile_sums`."""
        return jax.jit(function, out_shardings=self._whole)

    compile_rows = compile_sums


class ReplicaPlacement(Placement):
    """A replica of the state on each device; placed arrays have a leading axis of devices."""

    axis_name = DATA

    def __init__(self, mesh: Mesh):
        super().__init__(mesh)
        devices = mesh.devices.flatten()
        self._devices = list(devices)
        # The mesh that pmap itself makes of its devices: arrays on it need no moving.
        self._stacked = NamedSharding(Mesh(devices, (DATA,)), PartitionSpec(DATA))

    def bind(self, model: nn.Module, scope: BatchNormConfig, batch: int) -> nn.Module:
        """See `Placement.bind`."""
        shards = self.shards
        groups = _norm_groups(scope, batch, shards)
        if groups % shards == 0:
            return model.clone(norm_groups=groups // shards)
        if groups == 1:
            return model.clone(norm_axis=DATA)
        if shards % groups:
            raise ConfigError(
                f"batch_norm.group_size: groups of {scope.group_size} examples do not begin and "
                f"end with the {batch // shards} of a device; choose a divisor or a multiple of "
                "that, or --parallel=jit"
            )
        blocks = np.arange(shards).reshape(groups, -1)
        return model.clone(norm_axis=DATA, norm_axis_groups=tuple(map(tuple, blocks.tolist())))

    def split(self, values: Array) -> Array:
        """See `Placement.split`."""
        size = len(values) // self.shards
        return jax.lax.dynamic_slice_in_dim(values, jax.lax.axis_index(DATA) * size, size)

    def replicate(self, tree: Any) -> Any:
        """See `Placement.replicate`."""
        return jax.tree.map(lambda leaf: self._stack(np.asarray(leaf)[None]), tree)

    def place(self, state: TrainState) -> TrainState:
        """See `Placement.place`."""
        # Copies, since on a CPU devices would share the host's memory, which steps write to.
        return jax.tree.map(lambda leaf: self._stack(np.asarray(leaf)[None], copy=True), state)

    def put_batch(self, rows: Any) -> Any:
        """See `Placement.put_batch`."""
        local = sum(device.process_index == jax.process_index() for device in self._devices)
        return jax.tree.map(
            lambda leaf: jax.make_array_from_process_local_data(
                self._stacked, leaf.reshape(local, len(leaf) // local, *leaf.shape[1:])
            ),
            rows,
        )

    def fetch(self, tree: Any) -> Any:
        """See `Placement.fetch`."""
        return jax.tree.map(lambda leaf: np.asarray(leaf.addressable_data(0))[0], tree)

    def compile_step(self, step: Callable, state: TrainState, *arguments: Any) -> Callable:
        """See `Placement.compile_step`."""
        mapped = self._map(step, out_axes=(0, None), donate_argnums=0)
        return mapped.lower(state, *arguments).compile(compiler_options=ops.compiler_options())

    def compile_sums(self, function: Callable) -> Callable:
        """See `Placement.compile_sums`."""
        return self._map(lambda *arguments: jax.lax.psum(function(*arguments), DATA), out_axes=None)

    def compile_rows(self, function: Callable) -> Callable:
        """See `Placement.compile_rows`."""

        def gathered(*arguments: Any) -> Any:
            return jax.tree.map(
                lambda leaf: jax.lax.all_gather(leaf, DATA, tiled=True), function(*arguments)
            )

        return self._map(gathered, out_axes=None)

    def _stack(self, whole: np.ndarray, copy: bool = False) -> Array:
        shape = (self.shards, *whole.shape[1:])
        return jax.make_array_from_callback(
            shape, self._stacked, lambda index: whole.copy() if copy else whole
        )

    def _map(self, function: Callable, **options: Any) -> Any:
        return jax.pmap(function, axis_name=DATA, devices=self._devices, **options)


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


def _norm_groups(scope: BatchNormConfig, batch: int, shards: int) -> int:
    """Returns the number of groups of consecutive examples with batch statistics of their own."""
    if scope.scope == "global":
        return 1
    if scope.scope == "device":
        return shards
    size = scope.group_size
    if size is None or batch % size:
        raise ConfigError(
            f"batch_norm.group_size: {size} was given for scope 'group'; give a divisor of the "
            f"{batch} examples that pass through the network at once"
        )
    return batch // size


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
