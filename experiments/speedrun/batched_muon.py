"""Muon for all filters at once: one batch of matrices of one size, filled up with zeros.

Newton-Schulz iterations consist of small matrix products, of which a GPU computes a batch in the
time of a few. Zeros stay zeros in each of them, so that filling up changes no result.

Source: Jordan et al., 2024 (Muon); github.com/hiverge/cifar10-speedrun (2025) for the batch, the
coefficients and the normalization every few steps.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

COEFFICIENTS = (3.4576, -4.7391, 2.0843)
"""Of s, s cubed and s to the fifth: what an iteration makes of each singular value s."""

ITERATIONS = 3
EPSILON = 1e-5
"""Keeps a gradient of zeros from a division by zero."""


class MuonState(NamedTuple):
    """What a step needs of the steps before.

    Attributes:
        count: steps done.
        momenta: sums of gradients, each weighted by the momentum to the power of its age.
    """

    count: Int[Array, ""]
    momenta: Any


def batched_muon(
    schedule: optax.Schedule, momentum: float, normalize_every: int
) -> optax.GradientTransformation:
    """Returns a rule that moves filters along the nearest orthogonal matrix of their gradients.

    Every few steps, the filters of a kernel are first scaled to a root mean norm of 1.

    Args:
        schedule: learning rate of each step.
        momentum: of Nesterov's kind.
        normalize_every: steps between two normalizations.
    """

    def init(params: Any) -> MuonState:
        return MuonState(jnp.zeros((), jnp.int32), jax.tree.map(jnp.zeros_like, params))

    def update(updates: Any, state: MuonState, params: Any = None) -> tuple[Any, MuonState]:
        momenta = jax.tree.map(lambda m, g: momentum * m + g, state.momenta, updates)
        ahead = jax.tree.map(lambda m, g: momentum * m + g, momenta, updates)
        kernels, structure = jax.tree.flatten(ahead)
        moves = structure.unflatten(
            unstack_kernels(orthogonalize(stack_kernels(kernels)), [k.shape for k in kernels])
        )
        rate = schedule(state.count)
        count = state.count + 1
        due = count % normalize_every == 0

        def change(move: Array, kernel: Array) -> Array:
            factor = kernel.shape[-1] ** 0.5 / jnp.linalg.norm(kernel.reshape(-1))
            return (jnp.where(due, factor, 1.0) - 1) * kernel - rate * move

        return jax.tree.map(change, moves, params), MuonState(count, momenta)

    return optax.GradientTransformation(init, update)  # pyright: ignore[reportArgumentType]


def stack_kernels(kernels: list[Array]) -> Float[Array, "count rows columns"]:
    """Returns kernels as matrices of one size, with a row for each filter, filled up with zeros.

    Args:
        kernels: each with its filters along the last axis.
    """
    matrices = [kernel.reshape(-1, kernel.shape[-1]).T for kernel in kernels]
    rows, columns = (max(matrix.shape[axis] for matrix in matrices) for axis in (0, 1))
    return jnp.stack(
        [jnp.pad(m, ((0, rows - len(m)), (0, columns - m.shape[1]))) for m in matrices]
    )


def unstack_kernels(
    matrices: Float[Array, "count rows columns"], shapes: list[tuple[int, ...]]
) -> list[Array]:
    """Returns the kernels of `stack_kernels`.

    Args:
        matrices: one for each kernel.
        shapes: of the kernels.
    """
    kernels = []
    for matrix, (*inner, filters) in zip(matrices, shapes, strict=True):
        size = 1
        for length in inner:
            size *= length
        kernels.append(matrix[:filters, :size].T.reshape(*inner, filters))
    return kernels


def orthogonalize(
    matrices: Float[Array, "count rows columns"],
) -> Float[Array, "count rows columns"]:
    """Returns matrices with the same singular vectors, and singular values near 1.

    Each is divided by its norm; then each singular value s becomes a s + b s^3 + c s^5, a few
    times.

    Args:
        matrices: any; those of zeros stay so.

    Source: Jordan et al., 2024: Newton-Schulz iterations of the fifth order.
    """
    wide = matrices.shape[1] <= matrices.shape[2]
    x = matrices if wide else matrices.swapaxes(1, 2)
    x = x / (jnp.linalg.norm(x, axis=(1, 2), keepdims=True) + EPSILON)
    first, third, fifth = COEFFICIENTS
    for _ in range(ITERATIONS):
        squares = x @ x.swapaxes(1, 2)
        x = first * x + (third * squares + fifth * (squares @ squares)) @ x
    return x if wide else x.swapaxes(1, 2)
