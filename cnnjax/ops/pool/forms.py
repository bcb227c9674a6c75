"""Which formulation of a pooling runs on the CPU: a pure function of the window's geometry.

On other platforms lax's own forms run, which XLA recognizes. Measured on two AVX-512 cores with
`scripts/benchmarks/ops.py`: the runs of `runs.py` are faster than lax on nearly all pooling layers
of the classic networks. Two passes, first over one axis and then over the other, do less work for
large windows, and compile in less time than one pass.
"""

from __future__ import annotations

from typing import Literal

from cnnjax.ops.checks import MOST_TERMS
from cnnjax.ops.pool.runs import input_runs, lag_count, window_runs
from cnnjax.ops.pool.window import PoolWindow
from cnnjax.ops.sizes import Pair

Form = Literal["runs", "two_pass", "lax", "search"]

# Maxima of more terms than those of 3 x 3 windows, two apart, are faster or compile faster in two
# passes.
DIRECT_MAX_TERMS = 25
# Where windows do not overlap, one pass reads each element once: 8 x 8 takes 0.72 ms in place of
# 0.92, and 30 x 30 5.49 in place of 1.59.
DISJOINT_MAX_TERMS = 64
# Windows of 16 x 16 at each pixel; the two passes of 13 x 13 compile in 2.6 seconds.
MOST_MAX_TERMS = 16**2
# More terms than these are cheaper to add up in two passes.
DIRECT_TERMS = 81


def max_form(where: PoolWindow) -> Form:
    """Returns the form of max pooling and of its choices.

    Args:
        where: the windows.
    """
    if max(where.window) > MOST_TERMS:
        return "lax"
    window, inputs = _window_terms(where), _input_terms(where)
    overlap = max(lag_count(where, axis) for axis in (0, 1)) > 1
    direct = DIRECT_MAX_TERMS if overlap else DISJOINT_MAX_TERMS
    if max(window[0] * window[1], inputs[0] * inputs[1]) <= direct:
        return "runs"
    # A choice compares what is padding as well.
    compared = [len(window_runs(where, axis)) * where.window[axis] for axis in (0, 1)]
    return "two_pass" if max(*compared, *inputs) <= MOST_MAX_TERMS else "lax"


def max_grad_form(where: PoolWindow) -> Form:
    """Returns the form of the backward rule of max pooling.

    Args:
        where: the windows.
    """
    form = max_form(where)
    # lax has no derivative of dilated max pooling.
    return "search" if form == "lax" and where.dilation != (1, 1) else form


def sum_form(where: PoolWindow) -> Form:
    """Returns the form of sum pooling.

    Args:
        where: the windows.
    """
    if max(where.window) > MOST_TERMS:
        return "lax"
    return _separable_form(*_window_terms(where))


def sum_grad_form(where: PoolWindow) -> Form:
    """Returns the form of the backward rule of sum pooling.

    Args:
        where: the windows.
    """
    if max(lag_count(where, a) for a in (0, 1)) > MOST_TERMS:
        return "lax"
    return _separable_form(*_input_terms(where))


def _separable_form(rows: int, columns: int) -> Form:
    """Returns the form for this many terms along the rows and along the columns, edges included."""
    if rows * columns <= DIRECT_TERMS:
        return "runs"
    return "two_pass" if max(rows, columns) <= MOST_TERMS else "lax"


def _window_terms(where: PoolWindow) -> Pair:
    """Returns how many elements are read along the rows and the columns, by all runs of windows."""
    rows, columns = (sum(len(run.inside) for run in window_runs(where, a)) for a in (0, 1))
    return rows, columns


def _input_terms(where: PoolWindow) -> Pair:
    """Returns how many windows are read along the rows and the columns, by all runs of inputs."""
    rows, columns = (sum(len(run.lags) for run in input_runs(where, a)) for a in (0, 1))
    return rows, columns
