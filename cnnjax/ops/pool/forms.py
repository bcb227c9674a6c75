"""Which formulation of a pooling runs on the CPU: a pure function of the window's geometry.

On other platforms lax's own forms run, which XLA recognizes. Measured on two AVX-512 cores with
`scripts/benchmarks/ops.py`: the runs of `runs.py` are faster than lax on nearly all pooling layers
of the classic networks. Two passes, first over rows and then over columns, do less work for sums
over large windows.
"""

from __future__ import annotations

from typing import Literal

from cnnjax.ops.checks import MOST_TERMS
from cnnjax.ops.pool.runs import input_runs, lag_count, window_runs
from cnnjax.ops.pool.window import PoolWindow

Form = Literal["runs", "two_pass", "lax", "search"]

# Windows of 8 x 8 at each pixel; the choice of each is compared once for each of its elements.
MOST_GRAD_TERMS = 64**2
# More terms than these are cheaper to add up in two passes.
DIRECT_TERMS = 81


def max_form(where: PoolWindow) -> Form:
    """Returns the form of max pooling.

    Args:
        where: the windows.
    """
    return "runs" if few_terms(where) else "lax"


def max_grad_form(where: PoolWindow) -> Form:
    """Returns the form of the backward rule of max pooling.

    Args:
        where: the windows.
    """
    if few_terms(where):
        rows, columns = (sum(len(run.lags) for run in input_runs(where, a)) for a in (0, 1))
        if rows * columns <= MOST_GRAD_TERMS:
            return "runs"
    # lax has no derivative of dilated max pooling.
    return "lax" if where.dilation == (1, 1) else "search"


def few_terms(where: PoolWindow) -> bool:
    """Returns whether windows may be compared element by element, written out.

    Args:
        where: the windows.
    """
    elements = where.window[0] * where.window[1]
    if elements > MOST_TERMS:
        return False
    rows, columns = (window_runs(where, axis) for axis in (0, 1))
    return len(rows) * len(columns) * elements <= MOST_TERMS


def sum_form(where: PoolWindow) -> Form:
    """Returns the form of sum pooling.

    Args:
        where: the windows.
    """
    if max(where.window) > MOST_TERMS:
        return "lax"
    return _separable_form(*(len(window_runs(where, a)) * where.window[a] for a in (0, 1)))


def sum_grad_form(where: PoolWindow) -> Form:
    """Returns the form of the backward rule of sum pooling.

    Args:
        where: the windows.
    """
    if max(lag_count(where, a) for a in (0, 1)) > MOST_TERMS:
        return "lax"
    return _separable_form(*(sum(len(r.lags) for r in input_runs(where, a)) for a in (0, 1)))


def _separable_form(rows: int, columns: int) -> Form:
    """Returns the form for this many terms along the rows and along the columns, edges included."""
    if rows * columns <= DIRECT_TERMS:
        return "runs"
    return "two_pass" if max(rows, columns) <= MOST_TERMS else "lax"
