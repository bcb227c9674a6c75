"""Runs a function of a few images on many: in batches of one size, so that it compiles once."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.typing import ArrayLike

BATCH = 64
"""Images in a batch: few enough that their activations fit into memory."""


def in_batches(function: Callable[..., Any], *arrays: ArrayLike, size: int = BATCH) -> Any:
    """Calls a function on batches of its arguments and joins the results.

    The last batch is filled up with repeats of the last row, whose results are left out.

    Args:
        function: called with the same rows of each array; returns arrays [batch, ...], in any
            pytree, each of whose rows depends on no other row. Usually made by `jax.jit`.
        *arrays: each [rows, ...], of the same number of rows, at least 1.
        size: rows of a batch.

    Returns:
        The results for all rows, as NumPy arrays.

    Raises:
        ValueError: there are no rows, or not the same number in all arrays.
    """
    rows = [np.asarray(array) for array in arrays]
    counts = {len(array) for array in rows}
    if len(counts) != 1 or 0 in counts or size < 1:
        raise ValueError(
            f"in_batches: arrays of {', '.join(str(len(a)) for a in rows)} rows in batches of "
            f"{size}; give the same number of rows in each, at least 1"
        )
    (count,) = counts
    size = min(size, count)
    parts = []
    for start in range(0, count, size):
        # Repeats fill the last batch, because another size would compile the function again.
        chosen = np.minimum(np.arange(start, start + size), count - 1)
        # Moved to the host at once, so that the device holds one batch's results at a time.
        parts.append(jax.device_get(function(*(array[chosen] for array in rows))))
    return jax.tree.map(lambda *values: np.concatenate(values)[:count], *parts)
