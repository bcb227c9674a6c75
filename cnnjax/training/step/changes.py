"""The mean change of a network's collections over several passes or several devices.

A value that no pass changed stays as it was, to the bit; a mean of equal numbers may be rounded.
"""

from typing import Any

import jax
import jax.numpy as jnp


def changes(before: Any, after: Any) -> Any:
    """Returns what was added to each number; of other leaves (keys, truth values) the later one.

    Args:
        before: a pytree of arrays.
        after: a pytree of the same structure.
    """
    return jax.tree.map(lambda old, new: new - old if _is_number(new) else new, before, after)


def add_changes(total: Any, further: Any) -> Any:
    """Returns the sum of two changes; of leaves that are not numbers the later one.

    Args:
        total: a change, as `changes` gives it.
        further: a later one.
    """
    return jax.tree.map(lambda a, b: a + b if _is_number(b) else b, total, further)


def sum_changes(change: Any, axis_name: str) -> Any:
    """Returns the sum of the changes of all devices along a mapped axis.

    Args:
        change: that of each device.
        axis_name: the mapped axis.
    """
    return jax.tree.map(
        lambda leaf: jax.lax.psum(leaf, axis_name) if _is_number(leaf) else leaf, change
    )


def apply_mean(before: Any, total: Any, count: int) -> Any:
    """Returns the values before, plus the mean change, which is rounded down for whole numbers.

    Args:
        before: a pytree of arrays.
        total: the sum of its changes.
        count: number of changes in the sum.
    """

    def move(old: Any, change: Any) -> Any:
        if not _is_number(change):
            return change
        # A counter stays a whole number.
        if jnp.issubdtype(change.dtype, jnp.integer):
            return old + change // count
        return old + change / count

    return jax.tree.map(move, before, total)


def _is_number(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jnp.number)
