"""Max pooling and its backward rule: each window's dL/dy goes to the one element it chose.

The forward pass keeps, for every window, the offset of the chosen element in a byte; the backward
pass compares offsets, never values.
"""

from __future__ import annotations

from functools import partial, reduce

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from cnnjax.ops.accumulation import sum_dtype
from cnnjax.ops.materialize import materialized
from cnnjax.ops.pool.forms import max_form
from cnnjax.ops.pool.runs import (
    InputRun,
    WindowRun,
    input_runs,
    join_runs,
    offset_pitch,
    read_windows,
    sum_of_holders,
    window_runs,
)
from cnnjax.ops.pool.window import PoolWindow
from cnnjax.ops.reverse_mode import reverse_mode_only


def lax_max_windows(x: jax.Array, where: PoolWindow) -> jax.Array:
    """Returns the maximum of each window by `lax.reduce_window`."""
    return lax.reduce_window(
        x,
        np.asarray(-np.inf, x.dtype),
        lax.max,
        (1, *where.window, 1),
        (1, *where.strides, 1),
        ((0, 0), *where.pads, (0, 0)),
        window_dilation=(1, *where.dilation, 1),
    )


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def max_windows(x: jax.Array, where: PoolWindow) -> jax.Array:
    """Returns the maximum of each window; a NaN in the window gives NaN, padding is -inf."""
    return lax.platform_dependent(
        x,
        cpu=partial(_cpu_maxima, where=where),
        default=partial(lax_max_windows, where=where),
    )


def max_windows_input_grad(
    x: jax.Array, choice: jax.Array, grad: jax.Array, where: PoolWindow
) -> jax.Array:
    """Returns dL/dx of max pooling: dL/dy of each window goes to its chosen element, and adds up.

    Args:
      x: the input of the forward pass, which lax's form compares again.
      choice: `chosen_offsets` of it, which ours reads.
      grad: dL/dy.
      where: the windows.
    """
    if where.dilation != (1, 1):
        return _run_input_grad(choice, grad, where)
    lax_form = partial(_lax_input_grad, where=where)
    ours = max_form(where) == "runs"
    return lax.platform_dependent(
        x,
        choice,
        grad,
        cpu=(lambda x, choice, grad: _run_input_grad(choice, grad, where)) if ours else lax_form,
        default=lax_form,
    )


def _forward(x: jax.Array, where: PoolWindow):
    if max_form(where) == "lax":
        choice = jnp.zeros((0,), offset_dtype(where))
    else:
        # Kept from being computed again inside the backward loop, once per input.
        choice = materialized(chosen_offsets(x, where), witness=x)
    return max_windows(reverse_mode_only(where.op, x), where), (x, choice)


def _backward(where: PoolWindow, residuals: tuple[jax.Array, jax.Array], grad: jax.Array):
    return (max_windows_input_grad(*residuals, grad, where),)


max_windows.defvjp(_forward, _backward)


def chosen_offsets(x: jax.Array, where: PoolWindow) -> jax.Array:
    """Returns which element of each window gets the gradient, as an offset: see `offset_pitch`.

    The choice is lax's: elements are met row by row, and a later one is taken unless the one held
    is greater or equal. So the first of equals wins, and with NaN, which is neither, the choice
    starts afresh after the last NaN. Padding takes part, as -inf. Each row of the window is
    decided for itself first; `top` is its maximum, NaN if it holds one, and `held` the value
    chosen in it, so that comparing with `top` restarts the choice as going through would.
    """
    pitch = offset_pitch(where)[1]
    dtype = offset_dtype(where)

    def piece(rows: WindowRun, columns: WindowRun) -> jax.Array:
        shape = (x.shape[0], rows.last - rows.first, columns.last - columns.first, x.shape[3])
        padding = jnp.full(shape, -jnp.inf, x.dtype)

        def element(i: int, j: int) -> jax.Array:
            values = read_windows(x, where, rows, columns, i, j)
            return padding if values is None else values

        def decide_row(i: int):
            top = held = element(i, 0)
            offset = jnp.full(shape, i * where.dilation[0] * pitch, dtype)
            for j in range(1, where.window[1]):
                values = element(i, j)
                here = (i * where.dilation[0] * pitch) + j * where.dilation[1]
                offset = jnp.where(held >= values, offset, jnp.asarray(here, dtype))
                held = jnp.where(held >= values, held, values)
                top = lax.max(top, values)
            return top, held, offset

        _, held, offset = decide_row(0)
        for i in range(1, where.window[0]):
            row_top, row_held, row_offset = decide_row(i)
            keep = held >= row_top
            held = jnp.where(keep, held, row_held)
            offset = jnp.where(keep, offset, row_offset)
        return offset

    return join_runs(window_runs(where, 0), window_runs(where, 1), piece)


def offset_dtype(where: PoolWindow) -> np.dtype:
    """Returns the smallest signed integer dtype that holds every offset of a window."""
    rows, columns = offset_pitch(where)
    return np.dtype(np.min_scalar_type(-rows * columns))


def _lax_input_grad(x: jax.Array, _: jax.Array, grad: jax.Array, where: PoolWindow) -> jax.Array:
    return jax.vjp(lambda x: lax_max_windows(x, where), x)[1](grad)[0]


def _cpu_maxima(x: jax.Array, where: PoolWindow) -> jax.Array:
    if max_form(where) == "lax":
        return lax_max_windows(x, where)

    def piece(rows: WindowRun, columns: WindowRun) -> jax.Array:
        elements = (
            read_windows(x, where, rows, columns, i, j)
            for i in range(where.window[0])
            for j in range(where.window[1])
        )
        inside = [values for values in elements if values is not None]
        if not inside:
            shape = (x.shape[0], rows.last - rows.first, columns.last - columns.first, x.shape[3])
            return jnp.full(shape, -jnp.inf, x.dtype)
        return reduce(lax.max, inside)

    return join_runs(window_runs(where, 0), window_runs(where, 1), piece)


def _run_input_grad(choice: jax.Array, grad: jax.Array, where: PoolWindow) -> jax.Array:
    pitch = offset_pitch(where)[1]
    # Overlapping windows add up in float32, half types are rounded once.
    wide = sum_dtype(grad.dtype)

    def term(read, row, column) -> jax.Array:
        offset = (row * jnp.int32(pitch) + column).astype(choice.dtype)
        return jnp.where(read(choice) == offset, read(grad).astype(wide), jnp.zeros((), wide))

    def piece(rows: InputRun, columns: InputRun) -> jax.Array:
        return sum_of_holders(grad, where, rows, columns, term).astype(grad.dtype)

    return join_runs(input_runs(where, 0), input_runs(where, 1), piece)
