"""How a run uses its devices: the kind of parallelism, the mesh, which parameters are cut."""

from dataclasses import dataclass

import jax
import numpy as np
from jax.sharding import AxisType, Mesh

from cnnjax.training.errors import ConfigError

DATA = "data"
"""The mesh axis along which a batch is cut."""

MODEL = "model"
"""The mesh axis along which parameters are cut, where rules require it."""

MODES = ("jit", "pmap")
_REPLICATED = "replicated"


@dataclass(frozen=True)
class Parallel:
    """How a run is spread over devices; not part of its identity, since the numbers are the same.

    Attributes:
        mode: "jit" (one program over a mesh), "pmap" (a replica on each device, joined by sums), or
            None for the first device alone.
        mesh: sizes of the mesh's axes, as in "data:4,model:2"; None for all devices along `data`.
        sharding: rules such as ".*kernel=-1". The first one that matches a parameter's whole path
            gives the dimension that is cut along `model`, or "replicated" for none. Every
            parameter must match a rule. Without rules all parameters are whole.
    """

    mode: str | None = None
    mesh: str | None = None
    sharding: tuple[str, ...] = ()

    def axes(self, devices: int) -> dict[str, int]:
        """Returns the sizes of the axes `data` and `model`.

        Args:
            devices: number of devices that there are.

        Raises:
            ConfigError: the attributes contradict each other, or have no meaning.
        """
        if self.mode not in (None, *MODES):
            raise ConfigError(
                f"--parallel: {self.mode!r} was given; choose {' or '.join(MODES)}, or leave it "
                "out to train on one device"
            )
        if self.mode is None:
            for name, value in (("--mesh", self.mesh), ("--sharding", self.sharding)):
                if value:
                    raise ConfigError(f"{name}: needs --parallel=jit or --parallel=pmap beside it")
            return {DATA: 1, MODEL: 1}
        axes = {DATA: devices, MODEL: 1} if self.mesh is None else _parse_mesh(self.mesh)
        if self.mode == "pmap" and (axes[MODEL] > 1 or self.sharding):
            raise ConfigError(
                "--parallel=pmap keeps all parameters on every device; for a model axis and "
                "--sharding give --parallel=jit"
            )
        if (axes[MODEL] > 1) != bool(self.sharding):
            raise ConfigError(
                f"--mesh, --sharding: the model axis has {axes[MODEL]} devices and "
                f"{len(self.sharding)} rules cut parameters along it; give both or neither, e.g. "
                "--mesh=data:4,model:2 --sharding='(.*/)?kernel=-1' --sharding='.*=replicated'"
            )
        return axes

    def rules(self) -> list[tuple[str, int | None]]:
        """Returns the sharding rules as pairs of a pattern and a dimension, or None for whole.

        Raises:
            ConfigError: a rule has another form.
        """
        return [_parse_rule(text) for text in self.sharding]


def make_mesh(parallel: Parallel, batch_size: int, parts: int = 1) -> Mesh:
    """Returns the mesh of a run, the devices of each process side by side along `data`.

    Args:
        parallel: how the run is spread over devices.
        batch_size: examples of a step.
        parts: number of parts into which a step cuts its batch.

    Raises:
        ConfigError: there are too few devices, or the mesh does not divide the batch.
    """
    # Without parallelism the one device has to be one of this process's own.
    devices = jax.local_devices() if parallel.mode is None else jax.devices()
    axes = parallel.axes(len(devices))
    size = axes[DATA] * axes[MODEL]
    text = ",".join(f"{name}:{count}" for name, count in axes.items())
    if size > len(devices):
        raise ConfigError(
            f"--mesh: {text} is {size} devices; there are {len(devices)} ({devices[0].platform})"
        )
    if jax.process_count() > 1 and parallel.mode is not None:
        _check_processes(axes, text)
    _check_batch(axes[DATA], batch_size, parts)
    # With explicit axes, the default of jax.make_mesh, every operation would have to state its
    # sharding.
    return Mesh(
        np.asarray(devices[:size]).reshape(axes[DATA], axes[MODEL]),
        (DATA, MODEL),
        axis_types=(AxisType.Auto, AxisType.Auto),
    )


def _check_batch(shards: int, batch_size: int, parts: int) -> None:
    whole = shards * parts
    if batch_size % whole == 0:
        return
    lower, upper = batch_size // whole * whole, (batch_size // whole + 1) * whole
    remedies = [f"data.batch_size={size}" for size in (lower, upper) if size]
    fitting = [n for n in range(2, shards) if batch_size % (n * parts) == 0]
    if fitting:
        remedies.append(f"--mesh={DATA}:{fitting[-1]}")
    in_parts = f" in {parts} parts" if parts > 1 else ""
    raise ConfigError(
        f"data.batch_size: {batch_size} examples{in_parts} cannot be spread evenly over {shards} "
        f"devices along the data axis; give {' or '.join(remedies)}"
    )


def _check_processes(axes: dict[str, int], text: str) -> None:
    processes, local = jax.process_count(), jax.local_device_count()
    if axes[DATA] * axes[MODEL] != processes * local or local % axes[MODEL]:
        raise ConfigError(
            f"--mesh: {text} on {processes} processes of {local} devices; with several processes "
            "the mesh takes all devices, and the model axis divides those of one process"
        )


def _parse_mesh(text: str) -> dict[str, int]:
    axes = {DATA: 1, MODEL: 1}
    given = [part.partition(":") for part in text.split(",")]
    names = [name.strip() for name, _, _ in given]
    if not set(names) <= axes.keys() or len(set(names)) < len(names):
        raise ConfigError(
            f"--mesh: {text!r} was given; its axes are data and model: data:4,model:2"
        )
    for name, (_, _, size) in zip(names, given, strict=True):
        if not size.strip().isdigit() or int(size) < 1:
            raise ConfigError(
                f"--mesh: {size!r} was given for the axis {name}; give a number of devices, as in "
                "data:4,model:2"
            )
        axes[name] = int(size)
    return axes


def _parse_rule(text: str) -> tuple[str, int | None]:
    pattern, separator, value = text.rpartition("=")
    if separator and value == _REPLICATED:
        return pattern, None
    try:
        if not separator:
            raise ValueError
        return pattern, int(value)
    except ValueError:
        raise ConfigError(
            f"--sharding: {text!r} was given; write PATTERN=DIMENSION, as in '.*kernel=-1' for the "
            f"last dimension, or PATTERN={_REPLICATED}"
        ) from None
