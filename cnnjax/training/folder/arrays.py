"""The arrays of a checkpoint, as orbax writes and reads them.

Orbax handles the arrays alone: names, digests and the choice of a checkpoint are in `checkpoints`.
"""

import contextlib
import logging
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
from flax import serialization

from cnnjax import patterns


class OtherArrays(Exception):
    """A checkpoint holds other arrays than those that are to be restored.

    Attributes:
        differences: a line for each array that is missing, unknown or of another shape or dtype.
    """

    def __init__(self, differences: list[str]):
        super().__init__("; ".join(differences))
        self.differences = differences


def save_arrays(path: Path, state: Any) -> None:
    """Writes the arrays of a state; they may not be on the disk yet when it returns.

    Args:
        path: a folder that does not exist yet.
        state: any pytree that flax can turn into a state dict.
    """
    with _quiet_orbax(), _checkpointer() as checkpointer:
        checkpointer.save(path, serialization.to_state_dict(state))


def restore_arrays(path: Path, like: Any) -> Any:
    """Reads the arrays of a state.

    Args:
        path: the folder that `save_arrays` wrote.
        like: a pytree of arrays (or their shapes, with shardings) of the structure saved.

    Returns:
        A pytree like `like`.

    Raises:
        OtherArrays: the folder holds another structure or other shapes.
    """
    target = jax.tree.map(_abstract, serialization.to_state_dict(like))
    with _checkpointer() as checkpointer:
        saved = checkpointer.metadata(path).item_metadata.tree
        if differing := _differences(_forms(saved), _forms(target)):
            raise OtherArrays(differing)
        restored = checkpointer.restore(path, target)
    return serialization.from_state_dict(like, restored)


def cause_of(error: Exception) -> str:
    """Returns the operating system's message that tensorstore wraps, or the first line.

    Args:
        error: what writing raised.
    """
    text = str(error).strip() or type(error).__name__
    messages = re.findall(r": ([^:\n]+) \[os_error_code='\d+'\]", text)
    return messages[-1] if messages else text.splitlines()[0]


def _checkpointer() -> ocp.StandardCheckpointer:
    """Returns orbax for this process alone: it does not wait for the others of a run."""
    me = jax.process_index()
    return ocp.StandardCheckpointer(
        multiprocessing_options=ocp.options.MultiprocessingOptions(
            primary_host=me, active_processes={me}, barrier_sync_key_prefix=f"process{me}"
        )
    )


@contextlib.contextmanager
def _quiet_orbax() -> Iterator[None]:
    """Keeps orbax from printing each of its threads' tracebacks besides raising the error."""
    log, hook = logging.getLogger("absl"), sys.unraisablehook
    level = log.level

    def print_others(unraisable: Any) -> None:
        # This is the message of writes that failed after the first failure had ended them all.
        if "Event loop is closed" not in str(unraisable.exc_value):
            hook(unraisable)

    log.setLevel(logging.CRITICAL)
    sys.unraisablehook = print_others
    try:
        yield
    except Exception:
        # Writes that are still running fail a little later, and print then.
        time.sleep(0.5)
        raise
    finally:
        log.setLevel(level)
        sys.unraisablehook = hook


def _abstract(leaf: Any) -> jax.ShapeDtypeStruct:
    sharding = getattr(leaf, "sharding", None)
    if sharding is None:
        sharding = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)


def _forms(tree: Any) -> dict[str, str]:
    """Returns shape and dtype of every array of a tree, by its path."""
    leaves = jax.tree.leaves(tree)
    return {
        name: f"{tuple(leaf.shape)} {leaf.dtype}"
        for name, leaf in zip(patterns.path_names(tree), leaves, strict=True)
    }


def _differences(saved: dict[str, str], wanted: dict[str, str]) -> list[str]:
    return [
        f"{name} is {saved.get(name, 'missing')} there, {wanted.get(name, 'not known')} here"
        for name in sorted(saved.keys() | wanted.keys())
        if saved.get(name) != wanted.get(name)
    ]
