"""Max pooling and its backward rule: each window's dL/dy goes to the one element it chose.

The forward pass keeps, for every window, the offset of the chosen element in a byte, or, in two
passes, a byte for each axis; the backward pass compares offsets, never values.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from cnnjax.ops.accumulation import sum_dtype
from cnnjax.ops.materialize import materialized
from cnnjax.ops.platforms import by_platform
from cnnjax.ops.pool.choice import (
    chosen_by_axes,
    chosen_offsets,
    offset_dtype,
    offsets_of_axes,
)
from cnnjax.ops.pool.forms import max_form, max_grad_form
from cnnjax.ops.pool.places import add_at, places, take
from cnnjax.ops.pool.reductions import reduce_windows, reduce_windows_by_lax
from cnnjax.ops.pool.runs import (
    InputRun,
    input_runs,
    join_runs,
    offset_pitch,
    sum_of_holders,
)
from cnnjax.ops.pool.window import PoolWindow
from cnnjax.ops.rules import make_op


def lax_max_windows(x: jax.Array, where: PoolWindow) -> jax.Array:
    """Returns the maximum of each window by `lax.reduce_window`.

    Args:
        x: images, (batch, height, width, channels).
        where: the windows.
    """
    return reduce_windows_by_lax(x, where, lax.max, -np.inf)


def native_max_windows(x: jax.Array, where: PoolWindow) -> jax.Array:
    """Returns the maxima with a derivative made of lax's own, in forward mode as well.

    lax has none for dilated windows: there the maxima are gathered from their places.

    Args:
        x: images, (batch, height, width, channels).
        where: the windows.
    """
    if where.dilation == (1, 1):
        return lax_max_windows(x, where)
    found = places(chosen_offsets(lax.stop_gradient(x), where), where)
    values = take(x, jnp.maximum(found, 0))
    missing = lax.stop_gradient(lax_max_windows(x, where))
    return jnp.where((found < 0) | jnp.isnan(missing), missing, values)


Choice = tuple[jax.Array, ...]
"""Which element each window chose: its offset, or what `chosen_by_axes` returns."""


def choose(x: jax.Array, where: PoolWindow) -> Choice:
    """Returns which element each window chooses, kept in memory for the backward rule.

    Args:
        x: images, (batch, height, width, channels).
        where: the windows.
    """
    in_axes = max_form(where) == "two_pass"
    choice = chosen_by_axes(x, where) if in_axes else (chosen_offsets(x, where),)
    # Kept from being computed again inside the backward loop, once per input.
    return tuple(materialized(offsets, witness=x) for offsets in choice)


def offsets_of(choice: Choice, where: PoolWindow) -> jax.Array:
    """Returns the choice of `choose` as offsets, those of `chosen_offsets`.

    Args:
        choice: what each window chose.
        where: the windows.
    """
    if len(choice) == 1:
        return choice[0]
    columns, rows = choice
    return offsets_of_axes(columns, rows, where)


def max_windows_input_grad(
    x: jax.Array, choice: Choice, grad: jax.Array, where: PoolWindow
) -> jax.Array:
    """Returns dL/dx of max pooling: each element sums dL/dy of the windows that chose it.

    Args:
        x: the input of the forward pass, which lax's form compares again.
        choice: its `choose`, which our forms read.
        grad: dL/dy.
        where: the windows.
    """
    form = max_grad_form(where)
    if form == "search":
        wide = grad.astype(sum_dtype(grad.dtype))
        return add_at(wide, places(choice[0], where), where.size).astype(grad.dtype)
    ours = partial(_input_grad, where=where)
    if where.dilation != (1, 1):
        return ours(x, choice, grad)
    lax_form = partial(_lax_input_grad, where=where)
    return by_platform(x, choice, grad, cpu=lax_form if form == "lax" else ours, default=lax_form)


def _forward(x: jax.Array, *, where: PoolWindow) -> jax.Array:
    return by_platform(
        x,
        cpu=partial(_cpu_maxima, where=where),
        default=partial(lax_max_windows, where=where),
    )


def _save(op, x: jax.Array, *, where: PoolWindow):
    if max_grad_form(where) == "lax":
        # lax's form compares x again and reads no choice.
        return op(x), (x, (jnp.zeros((0,), offset_dtype(where)),))
    return op(x), (x, choose(x, where))


def _backward(saved: tuple[jax.Array, Choice], grad: jax.Array, *, where: PoolWindow):
    x, choice = saved
    return (max_windows_input_grad(x, choice, grad, where),)


max_windows = make_op("max_pool", _forward, _backward, save=_save, native=native_max_windows)
"""`max_windows(x, where=…)` is each window's maximum, or NaN if it has one; padding is -inf."""


def _lax_input_grad(x: jax.Array, _: Choice, grad: jax.Array, where: PoolWindow) -> jax.Array:
    return jax.vjp(lambda x: lax_max_windows(x, where), x)[1](grad)[0]


def _cpu_maxima(x: jax.Array, where: PoolWindow) -> jax.Array:
    form = max_form(where)
    if form == "lax":
        return lax_max_windows(x, where)
    if form == "two_pass":
        # The columns first, as the choices compare them.
        x, where = _run_maxima(x, where.along(1, first=1)), where.along(0, first=1)
    return _run_maxima(x, where)


def _run_maxima(x: jax.Array, where: PoolWindow) -> jax.Array:
    return reduce_windows(x, where, lax.max, -np.inf)


def _input_grad(_: jax.Array, choice: Choice, grad: jax.Array, where: PoolWindow) -> jax.Array:
    # Overlapping windows add up in float32, half types are rounded once.
    wide = grad.astype(sum_dtype(grad.dtype))
    if len(choice) == 1:
        return _run_input_grad(choice[0], wide, where).astype(grad.dtype)
    columns, rows = choice
    wide = _run_input_grad(rows, wide, where.along(0, first=1))
    return _run_input_grad(columns, wide, where.along(1, first=1)).astype(grad.dtype)


def _run_input_grad(choice: jax.Array, grad: jax.Array, where: PoolWindow) -> jax.Array:
    pitch = offset_pitch(where)[1]

    def term(read, row, column) -> jax.Array:
        offset = (row * np.int32(pitch) + column).astype(choice.dtype)
        return jnp.where(read(choice) == offset, read(grad), jnp.zeros((), grad.dtype))

    def piece(rows: InputRun, columns: InputRun) -> jax.Array:
        return sum_of_holders(grad, where, rows, columns, term)

    return join_runs(input_runs(where, 0), input_runs(where, 1), piece)
