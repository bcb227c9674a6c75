"""XLA's TPU compiler without a TPU: libtpu compiles programs for chips that are only described."""

import os

import jax
import numpy as np
from jax.sharding import AxisType, Mesh

from cnnjax.extras import check_installed

_SLICES = {1: "v5e:2x2", 2: "v5e:2x2", 4: "v5e:2x2", 8: "v5e:2x4", 16: "v5e:4x4"}
"""The smallest slice of v5e that has as many chips; a program may use a part of it."""

# Without these, libtpu asks the metadata server of a Google machine what it runs on.
_ALONE = {
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_WORKER_ID": "0",
}


def described_chips(chips: int = 1, axis: str = "data") -> Mesh:
    """Returns a mesh of TPU v5e chips that need not exist, to compile for but not to run on.

    A program is compiled for them by `jax.jit(f, in_shardings=…).lower(shapes).compile()`, with
    shardings of this mesh. Where no TPU is, start Python with JAX_PLATFORMS=cpu: JAX would look
    for one first.

    Args:
        chips: their number: 1, 2, 4, 8 or 16.
        axis: the name of the mesh's axis.

    Raises:
        ValueError: there is no slice of so many chips.
        MissingPackage: libtpu is not installed.
    """
    if chips not in _SLICES:
        raise ValueError(f"described_chips: chips must be one of {sorted(_SLICES)}, got {chips!r}")
    check_installed("tpu-aot", "libtpu")
    from jax.experimental import topologies

    name = _SLICES[chips]
    rows, columns = map(int, name.partition(":")[2].split("x"))
    # What is set already describes the machine.
    for key, value in {**_ALONE, "TPU_ACCELERATOR_TYPE": f"v5litepod-{rows * columns}"}.items():
        os.environ.setdefault(key, value)
    devices = topologies.get_topology_desc(platform="tpu", topology_name=name).devices
    return Mesh(np.array(devices[:chips]), (axis,), axis_types=(AxisType.Auto,))


def whole_on(mesh: Mesh) -> jax.sharding.NamedSharding:
    """Returns the sharding of an array that every chip has whole.

    Args:
        mesh: the chips.
    """
    return jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
