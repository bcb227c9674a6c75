"""Several processes that train as one: how they find, wait for and lose each other.

`jax.distributed` brings them together. When one of them is gone it aborts the others after
`HEARTBEAT_SECONDS`, since a collective operation without all its members waits for ever; they then
end by SIGABRT, with the stack of a C++ thread. The connections of `peers` are for the common case,
a process that ended or was killed: the system closes them at once, and the others leave within
`NOTICE_SECONDS` with a message and the exit code `PEER_LOST`.
"""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import NoReturn

import jax
import numpy as np
from jax.experimental import multihost_utils

from cnnjax.training.devices.addresses import own_address
from cnnjax.training.devices.peers import START_SECONDS, Peers
from cnnjax.training.errors import ConfigError, TrainingDiverged, TrainingStopped

AUTO = "auto"
"""Takes the coordinator's address from the cluster (Slurm, Open MPI, Kubernetes, TPU)."""

NOTICE_SECONDS = 10
"""Time in which the end of a process is noticed by the others."""

HEARTBEAT_SECONDS = 30
"""Time in which the others notice a process, or machine, that is silent but not closed."""


def is_first() -> bool:
    """Whether this process writes what a run writes once."""
    return jax.process_index() == 0


def from_first(value: Callable[[], int]) -> int:
    """Returns in every process what `value` returns in the first one.

    Args:
        value: a function without arguments, called in the first process only.
    """
    if jax.process_count() == 1:
        return value()
    given = value() if is_first() else 0
    return int(multihost_utils.broadcast_one_to_all(np.int64(given)))


@contextlib.contextmanager
def first_before_others() -> Iterator[None]:
    """Holds all processes but the first until the first has left the block."""
    together = jax.process_count() > 1
    if together and not is_first():
        multihost_utils.sync_global_devices("first")
    yield
    if together and is_first():
        multihost_utils.sync_global_devices("first")


@contextlib.contextmanager
def joined(
    coordinator: str | None, num_processes: int | None = None, process_id: int | None = None
) -> Iterator[None]:
    """Makes this process one of several while the block runs; without a coordinator it is alone.

    It must be entered before anything is computed, and the processes leave it together: where one
    fails alone, see `leave`.

    Args:
        coordinator: host and port of process 0, "auto" to take all three from the cluster, or None.
        num_processes: how many there are.
        process_id: which one this is, from 0.

    Raises:
        ConfigError: the three do not fit together, or the others cannot be reached.
    """
    _check(coordinator, num_processes, process_id)
    if coordinator is None:
        yield
        return
    # Collective operations between CPU processes need a library: gloo comes with jaxlib.
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    # That service would handle SIGTERM itself; here the training loop saves and stops at it.
    jax.config.update("jax_enable_preemption_service", False)
    try:
        jax.distributed.initialize(
            None if coordinator == AUTO else coordinator,
            num_processes,
            process_id,
            coordinator_bind_address=_bound(coordinator),
            initialization_timeout=START_SECONDS,
            heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
            shutdown_timeout_seconds=HEARTBEAT_SECONDS,
        )
    except (RuntimeError, ValueError) as error:
        raise ConfigError(f"--coordinator={coordinator}: {error}") from error
    # An address of IPv6 is written in brackets before its port.
    host = None if coordinator == AUTO else coordinator.rpartition(":")[0].strip("[]")
    peers = Peers(host)
    try:
        yield
    except (TrainingDiverged, TrainingStopped):
        peers.part()  # all processes stop at the same step
        raise
    peers.part()


def _bound(coordinator: str) -> str | None:
    """Returns the address and port that the coordinator's service binds to; None for JAX's own.

    JAX would bind it to all addresses of the machine, also where its processes are on one machine.
    """
    host, _, port = coordinator.rpartition(":")
    address = own_address(host.strip("[]"))
    if address is None:
        return None
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def is_joined() -> bool:
    """Whether this process is one of several."""
    return jax.distributed.is_initialized()


def leave(code: int) -> NoReturn:
    """Ends this process, also where others still wait for it: they then notice that it is gone.

    Args:
        code: the exit code.
    """
    if is_joined():
        # Leaving the usual way would wait for them to leave too.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _check(coordinator: str | None, num_processes: int | None, process_id: int | None) -> None:
    counts = (num_processes, process_id)
    if coordinator is None or coordinator == AUTO:
        if counts != (None, None):
            raise ConfigError(
                "--num_processes, --process_id: need --coordinator=HOST:PORT, the address of "
                "process 0, beside them"
            )
        return
    host, _, port = coordinator.rpartition(":")
    if not host or not port.isdigit():
        raise ConfigError(
            f"--coordinator: {coordinator!r} was given; write HOST:PORT of process 0, or "
            f"{AUTO!r} on a cluster that knows it"
        )
    if num_processes is None or process_id is None or not 0 <= process_id < num_processes:
        raise ConfigError(
            f"--num_processes, --process_id: {num_processes} and {process_id} were given; with "
            "--coordinator give both, the id from 0 to one less than the number"
        )
