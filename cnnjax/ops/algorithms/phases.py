"""dL/dx of a strided convolution by phases: one small dense convolution for each pixel of a stride.

An input pixel s·t + σ meets only every s-th kernel tap, so that the pixels of one phase σ are a
convolution, without stride or holes, of the upstream gradient with a part of the kernel.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
from jax import lax

from cnnjax.ops import sizes
from cnnjax.ops.algorithms import direct
from cnnjax.ops.conv_spec import ConvSpec


def refuses(spec: ConvSpec, kernel_shape: tuple[int, ...]) -> str:
    """Returns why there are no phases to take apart, or ""."""
    del kernel_shape
    if spec.strides == (1, 1) or spec.dilation != (1, 1) or spec.groups != 1:
        return "needs a stride, no dilation and one group"
    return ""


def input_grad(
    spec: ConvSpec, input_size: sizes.Size, grad: jax.Array, kernel: jax.Array
) -> jax.Array:
    """dL/dx(s·t + σ) = Σ_j g(t + q - j) k(ρ + s·j), where s·q + ρ = σ + padding."""
    by_axis = [
        axis_phases(*sizes_)
        for sizes_ in zip(
            input_size,
            kernel.shape[:2],
            spec.strides,
            [low for low, _ in spec.padding],
            grad.shape[1:3],
            strict=True,
        )
    ]
    dense = dataclasses.replace(spec, strides=(1, 1))
    phases = [
        [_phase(dense, grad, kernel, spec.strides, row, column) for column in by_axis[1]]
        for row in by_axis[0]
    ]
    return interleave(phases)[:, : input_size[0], : input_size[1]]


@dataclasses.dataclass(frozen=True)
class Phase:
    """One phase along one axis: its first kernel tap, and how the upstream gradient is padded."""

    first: int
    taps: int
    pads: sizes.Pair
    length: int


def axis_phases(size: int, kernel: int, stride: int, low: int, grad: int) -> list[Phase]:
    """Returns the phases σ = 0 … stride - 1 of an axis of `size` pixels, all of one length."""
    length = -(-size // stride)
    phases = []
    for sigma in range(stride):
        shift, first = divmod(sigma + low, stride)
        taps = len(range(first, kernel, stride))
        phases.append(Phase(first, taps, (taps - 1 - shift, length + shift - grad), length))
    return phases


def interleave(phases: list[list[jax.Array]]) -> jax.Array:
    """Puts phase (σ, τ) of each stride block at its pixel: out(s·t + σ, s·u + τ) = phases[σ][τ]."""
    rows = [jnp.stack(row, axis=3) if len(row) > 1 else row[0][:, :, :, None] for row in phases]
    x = jnp.stack(rows, axis=2)
    batch, height, down, width, across, channels = x.shape
    return x.reshape(batch, height * down, width * across, channels)


def _phase(dense, grad, kernel, strides, row, column):
    if not row.taps or not column.taps:
        return jnp.zeros((grad.shape[0], row.length, column.length, kernel.shape[2]), grad.dtype)
    part = kernel[row.first :: strides[0], column.first :: strides[1]]
    return direct.forward(
        dataclasses.replace(dense, padding=(row.pads, column.pads)),
        grad,
        lax.rev(part, (0, 1)).swapaxes(2, 3),
    )
