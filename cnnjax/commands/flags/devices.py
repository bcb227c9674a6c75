"""Flags that spread a program over devices and processes."""

import contextlib

from absl import flags

from cnnjax import training
from cnnjax.training.devices import processes

GROUP = "Devices and processes"

_PARALLEL = flags.DEFINE_string(
    "parallel",
    None,
    "'jit' for one program over a mesh of devices, 'pmap' for a replica on each; the first device "
    "alone if not given.",
)
_MESH = flags.DEFINE_string(
    "mesh",
    None,
    "Sizes of the mesh's axes, e.g. data:4,model:2; all devices along data if not given.",
)
_SHARDING = flags.DEFINE_multi_string(
    "sharding",
    [],
    "PATTERN=DIMENSION or PATTERN=replicated: which dimension of the parameters whose path matches "
    "is cut along the model axis, e.g. '(.*/)?kernel=-1'. Give it several times; of the patterns "
    "that match, the first one counts, and every parameter must match one.",
)
_COORDINATOR = flags.DEFINE_string(
    "coordinator",
    None,
    "HOST:PORT of process 0, for a run of several processes; 'auto' on a cluster that provides it.",
)
_NUM_PROCESSES = flags.DEFINE_integer(
    "num_processes", None, "How many processes the run has; needs --coordinator.", lower_bound=1
)
_PROCESS_ID = flags.DEFINE_integer(
    "process_id", None, "Number of this process, from 0.", lower_bound=0
)


def read_parallel() -> training.Parallel:
    """Returns how the run is spread over devices; it is checked once the devices are known."""
    return training.Parallel(_PARALLEL.value, _MESH.value, tuple(_SHARDING.value))


def joined() -> contextlib.AbstractContextManager[None]:
    """Joins the run's other processes, if the flags name any, while the block runs.

    Raises:
        ConfigError: the flags do not fit together, or the others cannot be reached.
    """
    return processes.joined(_COORDINATOR.value, _NUM_PROCESSES.value, _PROCESS_ID.value)
