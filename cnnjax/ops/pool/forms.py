"""Which formulation of a pooling runs on the CPU: a pure function of the window's geometry.

On other platforms lax's own forms run, which XLA recognizes. Measured on two AVX-512 cores with
`scripts/benchmarks/ops.py`: the runs of `runs.py` are faster than lax on nearly all pooling layers
of the classic networks. Two passes, first over rows and then over columns, do less work for sums
over large windows.
"""

from __future__ import annotations

from typing import Literal

from cnnjax.ops.pool.runs import input_runs, window_runs
from cnnjax.ops.pool.window import PoolWindow

Form = Literal["runs", "two_pass", "lax"]

# With more operations in one expression, compiling takes longer than running.
MOST_TERMS = 1024
# More terms than these are cheaper to add up in two passes.
DIRECT_TERMS = 81


def max_form(where: PoolWindow) -> Form:
    """Returns the form of max pooling, forward and backward.

    Args:
        where: the windows.
    """
    rows, columns = (window_runs(where, axis) for axis in (0, 1))
    elements = where.window[0] * where.window[1]
    dilated = where.dilation != (1, 1)
    # lax has no derivative of dilated max pooling, so there the runs serve at any size.
    if not dilated and len(rows) * len(columns) * elements > MOST_TERMS:
        return "lax"
    return "runs"


def sum_form(where: PoolWindow) -> Form:
    """Returns the form of sum pooling.

    Args:
        where: the windows.
    """
    return _separable_form(*(len(window_runs(where, a)) * where.window[a] for a in (0, 1)))


def sum_grad_form(where: PoolWindow) -> Form:
    """Returns the form of the backward rule of sum pooling.

    Args:
        where: the windows.
    """
    return _separable_form(*(sum(len(r.lags) for r in input_runs(where, a)) for a in (0, 1)))


def _separable_form(rows: int, columns: int) -> Form:
    """Returns the form for this many terms along the rows and along the columns, edges included."""
    if rows * columns <= DIRECT_TERMS:
        return "runs"
    return "two_pass" if max(rows, columns) <= MOST_TERMS else "lax"
