"""Sum pooling and its backward rule: each input sums dL/dy over the windows that contain it."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from cnnjax.ops.platforms import by_platform
from cnnjax.ops.pool.forms import sum_form, sum_grad_form
from cnnjax.ops.pool.reductions import reduce_windows, reduce_windows_by_lax
from cnnjax.ops.pool.runs import (
    InputRun,
    input_runs,
    join_runs,
    sum_of_holders,
)
from cnnjax.ops.pool.window import PoolWindow
from cnnjax.ops.rules import make_op
from cnnjax.ops.sizes import span


def lax_sum_windows(x: jax.Array, where: PoolWindow) -> jax.Array:
    """Returns the sum over each window by `lax.reduce_window`.

    Args:
        x: images, (batch, height, width, channels).
        where: the windows.
    """
    return reduce_windows_by_lax(x, where, lax.add, 0)


def _forward(x: jax.Array, *, where: PoolWindow) -> jax.Array:
    return by_platform(
        x,
        cpu=partial(_cpu_sums, where=where),
        default=partial(lax_sum_windows, where=where),
    )


def _backward(_: None, grad: jax.Array, *, where: PoolWindow) -> tuple[jax.Array]:
    """dL/dx[i] = Σ dL/dy over the windows that contain i."""
    grad = by_platform(
        grad,
        cpu=partial(_cpu_input_grad, where=where),
        default=partial(_lax_input_grad, where=where),
    )
    return (grad,)


sum_windows = make_op(
    "sum_pool",
    _forward,
    _backward,
    # A linear map's gradient does not depend on its operand.
    save=lambda op, x, where: (op(x), None),
    native=lax_sum_windows,
)
"""`sum_windows(x, where=…)` is the sum over each window, in x's dtype; padding counts as 0."""


def _lax_input_grad(grad: jax.Array, where: PoolWindow) -> jax.Array:
    """Returns dL/dx in the form of lax's own transpose: window sums over the spread-out dL/dy."""
    edges = []
    for axis in (0, 1):
        reach = span(where.window[axis], where.dilation[axis])
        low = reach - 1 - where.pads[axis][0]
        spread = (where.output[axis] - 1) * where.strides[axis] + 1
        edges.append((low, where.size[axis] + reach - 1 - low - spread, where.strides[axis] - 1))
    zero = np.zeros((), grad.dtype)
    return lax.reduce_window(
        lax.pad(grad, zero, [(0, 0, 0), *edges, (0, 0, 0)]),
        zero,
        lax.add,
        (1, *where.window, 1),
        (1, 1, 1, 1),
        "VALID",
        window_dilation=(1, *where.dilation, 1),
    )


def _cpu_sums(x: jax.Array, where: PoolWindow) -> jax.Array:
    form = sum_form(where)
    if form == "lax":
        return lax_sum_windows(lax_sum_windows(x, where.along(0)), where.along(1))
    if form == "two_pass":
        return _run_sums(_run_sums(x, where.along(0)), where.along(1))
    return _run_sums(x, where)


def _cpu_input_grad(grad: jax.Array, where: PoolWindow) -> jax.Array:
    form = sum_grad_form(where)
    if form == "lax":
        return _lax_input_grad(_lax_input_grad(grad, where.along(1)), where.along(0))
    if form == "two_pass":
        return _run_input_grad(_run_input_grad(grad, where.along(1)), where.along(0))
    return _run_input_grad(grad, where)


def _run_sums(x: jax.Array, where: PoolWindow) -> jax.Array:
    return reduce_windows(x, where, lax.add, 0)


def _run_input_grad(grad: jax.Array, where: PoolWindow) -> jax.Array:
    def term(read, row, column) -> jax.Array:
        held = _is_element(row, where, 0) & _is_element(column, where, 1)
        if isinstance(held, np.ndarray) and held.all():
            return read(grad)
        return jnp.where(held, read(grad), jnp.zeros((), grad.dtype))

    def piece(rows: InputRun, columns: InputRun) -> jax.Array:
        return sum_of_holders(grad, where, rows, columns, term)

    return join_runs(input_runs(where, 0), input_runs(where, 1), piece)


def _is_element(position: Any, where: PoolWindow, axis: int) -> Any:
    """Returns whether a window has an element at `position` pixels from its start."""
    dilation = where.dilation[axis]
    inside = position <= np.int32((where.window[axis] - 1) * dilation)
    return inside if dilation == 1 else inside & (position % np.int32(dilation) == 0)
