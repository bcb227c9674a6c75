"""Losses that compare the examples of a batch with each other, when the batch is spread or cut."""

import jax
from jaxtyping import Array

from cnnjax.tasks.values import Moment


def refuse_parts(task: str, moment: Moment) -> None:
    """Refuses a batch that is cut into parts, of which each would be compared with itself alone.

    Args:
        task: its name, for the message.
        moment: the step.

    Raises:
        ValueError: there are several parts.
    """
    if moment.parts != 1:
        raise ValueError(
            f"accumulate: {task} compares all examples of a batch with each other, so that "
            f"{moment.parts} parts of it have another loss than the whole; set accumulate to 1, "
            "and spread a large batch over devices with --parallel=jit or pmap"
        )


def whole(rows: Array, axis_name: str | None) -> Array:
    """Returns the rows of the whole batch, in its order.

    Args:
        rows: [rows, ...] of one device; of the whole batch where there is no axis.
        axis_name: mapped axis over which the batch is spread.
    """
    if axis_name is None:
        return rows
    # Its gradient adds up what the rows contribute to the losses of all devices.
    return jax.lax.all_gather(rows, axis_name, tiled=True)


def first_row(rows: int, axis_name: str | None) -> Array | int:
    """Returns the place in the whole batch of a device's first row.

    Args:
        rows: number of rows of each device.
        axis_name: mapped axis over which the batch is spread.
    """
    return 0 if axis_name is None else jax.lax.axis_index(axis_name) * rows
