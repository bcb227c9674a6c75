"""Max and sum pooling with hand-derived backward rules.

Sum pooling: dL/dx[i] is the sum of dL/dy over the windows that hold i, which separates into rows
and columns. Max pooling: each window's dL/dy goes to the one element that was chosen, which the
forward pass keeps as an index of a byte; nothing is compared again.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

from cnnjax.ops.pool_shift import read_element, scatter_elements
from cnnjax.ops.pool_window import PoolWindow


def lax_pool(x: jax.Array, where: PoolWindow, combine: str) -> jax.Array:
    """Returns `lax.reduce_window` over the windows with "max" or "sum"."""
    identity, operation = (-jnp.inf, lax.max) if combine == "max" else (0.0, lax.add)
    return lax.reduce_window(
        x,
        jnp.asarray(identity, x.dtype)[()],
        operation,
        (1, *where.window, 1),
        (1, *where.strides, 1),
        ((0, 0), *where.pads, (0, 0)),
        window_dilation=(1, *where.dilation, 1),
    )


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def sum_windows(x: jax.Array, where: PoolWindow) -> jax.Array:
    """Returns the sum over each window, in the dtype of `x`."""
    return lax_pool(x, where, "sum")


def _sum_forward(x: jax.Array, where: PoolWindow):
    return sum_windows(x, where), None


def _sum_backward(where: PoolWindow, _: None, grad: jax.Array):
    return (sum_windows_input_grad(grad, where),)


sum_windows.defvjp(_sum_forward, _sum_backward)


def sum_windows_input_grad(grad: jax.Array, where: PoolWindow) -> jax.Array:
    """Returns dL/dx of a sum over windows: each input sums dL/dy over the windows that hold it."""
    rows = scatter_elements(lambda _: grad, where, 0)
    return scatter_elements(lambda _: rows, where, 1)


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def max_windows(x: jax.Array, where: PoolWindow) -> jax.Array:
    """Returns the maximum of each window; a NaN anywhere in the window gives NaN."""
    return lax_pool(x, where, "max")


def _max_forward(x: jax.Array, where: PoolWindow):
    return max_and_choice(x, where)


def _max_backward(where: PoolWindow, choice: jax.Array, grad: jax.Array):
    return (max_windows_input_grad(grad, choice, where),)


max_windows.defvjp(_max_forward, _max_backward)


def max_and_choice(x: jax.Array, where: PoolWindow) -> tuple[jax.Array, jax.Array]:
    """Returns the maximum of each window and which of its elements, row by row, gets the gradient.

    The choice is lax's: elements are met row by row, and a later one is taken unless the one held
    is greater or equal. So the first of equals wins, and with NaN, which is neither, the choice
    starts afresh after the last NaN. Padding counts as -inf.
    """
    columns = where.window[1]
    dtype = choice_dtype(where)
    maximum = held = choice = None
    for i in range(where.window[0]):
        row = read_element(x, where, 0, i, -jnp.inf)
        for j in range(columns):
            value = read_element(row, where, 1, j, -jnp.inf)
            if maximum is None or held is None or choice is None:
                maximum = held = value
                choice = jnp.zeros(value.shape, dtype)
                continue
            keep = held >= value
            choice = jnp.where(keep, choice, jnp.asarray(i * columns + j, dtype))
            held = jnp.where(keep, held, value)
            maximum = lax.max(maximum, value)
    assert maximum is not None and choice is not None
    return maximum, choice


def max_windows_input_grad(grad: jax.Array, choice: jax.Array, where: PoolWindow) -> jax.Array:
    """Returns dL/dx of max pooling: dL/dy goes to the chosen element of each window, and adds up."""
    zero = jnp.zeros((), grad.dtype)

    def row(i: int) -> jax.Array:
        return scatter_elements(
            lambda j: jnp.where(
                choice == jnp.asarray(i * where.window[1] + j, choice.dtype), grad, zero
            ),
            where,
            1,
        )

    return scatter_elements(row, where, 0)


def choice_dtype(where: PoolWindow) -> jnp.dtype:
    """Returns the smallest signed integer dtype that counts a window's elements."""
    elements = where.window[0] * where.window[1]
    return jnp.dtype("int8" if elements <= 127 else "int16" if elements <= 32767 else "int32")
