"""Local response normalization across channels, with a backward rule that stores its input only."""

from __future__ import annotations

import dataclasses
from functools import reduce

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from cnnjax.ops.accumulation import sum_dtype
from cnnjax.ops.arguments.table import checked
from cnnjax.ops.rules import make_op

__all__ = ["local_response_norm"]

MANY = 64
"""With more neighbors written out as shifted arrays, compiling takes longer than running."""


@dataclasses.dataclass(frozen=True)
class _Constants:
    size: int
    alpha: float
    beta: float
    k: float


@checked(
    x="images",
    size="count",
    alpha="number from 0",
    beta="number from 0",
    k="number from 0",
    backward="backward",
)
def local_response_norm(
    x: Float[Array, "batch height width channels"],
    *,
    size: int = 5,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 2.0,
    backward: str = "ours",
) -> Float[Array, "batch height width channels"]:
    """Returns each value divided by its neighbors' energy: b_i = a_i / (k + α Σ_j a_j²)^β.

    The sum runs over the `size` channels around i, j = i - size // 2 … i + (size - 1) // 2, cut at
    the first and the last. As in the paper, alpha is not divided by size (PyTorch and Caffe divide
    it: pass size * alpha to them). The half types are computed in float32.

    Args:
        x: images, (batch, height, width, channels), floating dtype.
        size: the number n of channels summed over; an even one includes one more channel below i
            than above.
        alpha: the paper's α, without a unit.
        beta: the paper's β, without a unit.
        k: the paper's k, without a unit.
        backward: "ours" for the rule written here, which stores `x` alone; "native" for JAX's
            derivative, which forward mode needs.

    Returns:
        An array of the shape and dtype of `x`.

    Raises:
        ValueError: `x` is not a batch of floating-point images, or `size` is not a positive int.

    Example:
        >>> import jax.numpy as jnp
        >>> from cnnjax import ops
        >>> y = ops.local_response_norm(jnp.ones((1, 1, 1, 3)), size=3, alpha=1.0, beta=1.0, k=0.0)
        >>> y[0, 0, 0].round(3)
        Array([0.5  , 0.333, 0.5  ], dtype=float32)

    Source: Krizhevsky et al., 2012, section 3.3.
    """
    constants = _Constants(size, alpha, beta, k)
    with jax.named_scope("local_response_norm"):
        wide = x.astype(sum_dtype(x.dtype))
        return _norm.apply(wide, constants=constants, backward=backward).astype(x.dtype)


def _forward(x: jax.Array, *, constants: _Constants) -> jax.Array:
    return x * _power(lax.rsqrt(_scale(x, constants)), constants.beta)


def _backward(saved: tuple[jax.Array], grad: jax.Array, *, constants: _Constants):
    """dL/da_i = g_i z_i^-β - 2αβ a_i Σ_j g_j a_j z_j^-(β+1), over the j whose sum contains a_i.

    It is written without a division: XLA's CPU backend does not compute a division twice, and would
    write out every shifted array to avoid that.
    """
    (x,) = saved
    channels = x.shape[3]
    root = lax.rsqrt(_scale(x, constants))
    power = _power(root, constants.beta)
    # Neighbors beyond the last channel contribute nothing, however large the size.
    below = min(constants.size // 2, channels - 1)
    above = min((constants.size - 1) // 2, channels - 1)
    spread = grad * x * power * root * root
    sums = _windows if above + below >= MANY else _shifts
    around = sums(spread, above, below)
    return (grad * power - (2.0 * constants.alpha * constants.beta) * x * around,)


_norm = make_op("local_response_norm", _forward, _backward)


def _scale(x: jax.Array, constants: _Constants) -> jax.Array:
    """Returns z = k + α Σ a², the squares added up as shifted arrays."""
    channels, squares, zero = x.shape[3], x * x, jnp.zeros((), x.dtype)
    low, high = -(constants.size // 2), (constants.size - 1) // 2
    shifts = range(max(low, 1 - channels), min(high, channels - 1) + 1)
    if len(shifts) > MANY:
        energy = _windows(squares, -shifts[0], shifts[-1])
    else:
        shifted = (lax.pad(squares, zero, [(0, 0, 0)] * 3 + [(-s, s, 0)]) for s in shifts)
        energy = reduce(lax.add, shifted)
    return constants.k + constants.alpha * energy


def _shifts(values: jax.Array, below: int, above: int) -> jax.Array:
    """Returns the sums over each channel's neighbors, added up as slices."""
    channels, zero = values.shape[3], jnp.zeros((), values.dtype)
    values = lax.pad(values, zero, [(0, 0, 0)] * 3 + [(below, above, 0)])
    slices = (lax.slice_in_dim(values, i, i + channels, axis=3) for i in range(below + above + 1))
    return reduce(lax.add, slices)


def _windows(values: jax.Array, below: int, above: int) -> jax.Array:
    """Returns the sums over each channel's neighbors in one operation."""
    window, zero = (1, 1, 1, below + above + 1), np.zeros((), values.dtype)
    pads = ((0, 0), (0, 0), (0, 0), (below, above))
    return lax.reduce_window(values, zero, lax.add, window, (1, 1, 1, 1), pads)


def _power(root: jax.Array, beta: float) -> jax.Array:
    """Returns z^-beta from z^(-1/2), by square roots where beta is the papers' 3/4."""
    # z^(-3/4) = z^(-1/2) √(z^(-1/2)): square roots are faster than a general power.
    return root * lax.sqrt(root) if beta == 0.75 else root ** (2.0 * beta)
