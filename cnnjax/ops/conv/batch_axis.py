"""Grouped convolutions of a batch that is cut along an axis of a mesh.

XLA's partitioner keeps a dense convolution's batch cut, but gathers that of a grouped one on every
device and computes all of it there (openxla/xla issue 47945); with a second mesh axis its gradient
of a grouped kernel was wrong besides (jaxlib 0.10.2 and 0.12.0.1). Within `batch_over` each device
computes the grouped convolutions of its own examples, and gradients of kernels are summed.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from typing import Any

import jax
from jax import lax
from jax.sharding import Mesh, PartitionSpec

from cnnjax.ops.arguments.table import checked


@dataclasses.dataclass(frozen=True)
class BatchAxis:
    """The axis of a mesh along which batches are cut.

    Attributes:
        mesh: the devices.
        name: the axis.
    """

    mesh: Mesh
    name: str

    @property
    def size(self) -> int:
        """Number of parts that a batch is cut into."""
        return self.mesh.shape[self.name]


# A user context rather than a global: it is part of the key of jit's caches, so that a function
# that was traced outside the block is traced again within it.
_current = jax.make_user_context(None)


@checked(mesh="mesh", axis="name")
def batch_over(mesh: Mesh, axis: str) -> contextlib.AbstractContextManager[None]:
    """Returns a context in which grouped convolutions are cut along an axis of a mesh.

    Enter it inside a function under `jax.jit` whose batches are cut along that axis; results stay
    the same. Convolutions of batches that cannot be cut evenly are left alone.

    Args:
        mesh: the devices.
        axis: one of its axes, of type `AxisType.Auto`.

    Raises:
        ValueError: the mesh has no such axis.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from cnnjax import ops
        >>> mesh = jax.make_mesh((1,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
        >>> with ops.batch_over(mesh, "data"):
        ...     y = ops.conv2d(jnp.ones((2, 4, 4, 6)), jnp.ones((3, 3, 1, 6)), groups=6)
        >>> y.shape
        (2, 4, 4, 6)
    """
    if axis not in mesh.shape:
        raise ValueError(
            f"batch_over: axis is {axis!r}, but the mesh has the axes {tuple(mesh.shape)}; name "
            "one of them"
        )
    return _current(BatchAxis(mesh, axis))


def current_axis() -> BatchAxis | None:
    """Returns the axis along which batches are cut, or None."""
    return _current.value


def on_each_part(
    function: Callable[..., jax.Array],
    axis: BatchAxis | None,
    cut: tuple[bool, ...],
    *arrays: jax.Array,
) -> jax.Array:
    """Returns a function of batches, computed on each device's part of them.

    Args:
        function: maps the arrays to a result for each example, or, if every array is cut, to a
            sum over examples.
        axis: along which the batches are cut; None computes the function of the whole arrays.
        cut: for each array, whether its first axis is the batch; the others stay whole.
        *arrays: the arguments.
    """
    batches = [a.shape[0] for a, is_cut in zip(arrays, cut, strict=True) if is_cut]
    if axis is None or axis.size == 1 or any(n == 0 or n % axis.size for n in batches):
        return function(*arrays)
    parts, whole = PartitionSpec(axis.name), PartitionSpec()
    summed = all(cut)

    def of_a_part(*arrays: jax.Array) -> Any:
        result = function(*arrays)
        return lax.psum(result, axis.name) if summed else result

    return jax.shard_map(
        of_a_part,
        mesh=axis.mesh,
        in_specs=tuple(parts if is_cut else whole for is_cut in cut),
        out_specs=whole if summed else parts,
        axis_names={axis.name},
    )(*arrays)
