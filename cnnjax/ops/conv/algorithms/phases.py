"""dL/dx of a strided convolution by phases: one small dense convolution for each pixel of a stride.

An input pixel s·t + σ is multiplied with every s-th kernel tap only. So dL/dx at the pixels of one
phase σ is a convolution, without stride, of the upstream gradient with a part of the kernel.
"""

from __future__ import annotations

import dataclasses
import math

import jax
import jax.numpy as jnp
from jax import lax

from cnnjax.ops import sizes
from cnnjax.ops.checks import MOST_TERMS
from cnnjax.ops.conv.algorithms import direct
from cnnjax.ops.conv.spec import ConvSpec


def refuses(spec: ConvSpec, input_shape: sizes.Size, kernel_shape: sizes.Size) -> str:
    """Returns why there are no phases to separate, or "".

    Args:
        spec: the convolution.
        input_shape: (batch, height, width, channels).
        kernel_shape: (height, width, channels / groups, filters).
    """
    del input_shape, kernel_shape
    if spec.strides == (1, 1):
        return "needs a stride"
    if spec.strides[0] * spec.strides[1] > MOST_TERMS:
        return f"needs strides whose product is at most {MOST_TERMS}"
    return ""


@dataclasses.dataclass(frozen=True)
class Phase:
    """Pixels s·t + σ of one axis: tap first + j·step is multiplied with g(t + shift - j·hole).

    Attributes:
        first: the first tap.
        step: from one tap to the next.
        taps: number of taps.
        hole: how far the upstream gradient's index goes back from one tap to the next.
        shift: the upstream gradient's index at the first tap, less t.
        length: number of pixels of the phase, rounded up to be the same for all.
    """

    first: int
    step: int
    taps: int
    hole: int
    shift: int
    length: int

    def pads(self, grad: int) -> sizes.Pair:
        """Returns how the upstream gradients are padded to make this a plain convolution.

        Args:
            grad: how many there are along the axis.
        """
        return (self.hole * (self.taps - 1) - self.shift, self.length + self.shift - grad)


def axis_phases(size: int, kernel: int, stride: int, dilation: int, low: int) -> list[Phase]:
    """Returns the phases σ = 0 … stride - 1 of an axis of `size` pixels.

    Args:
        size: of the images.
        kernel: size of the kernel before dilation.
        stride: step between windows.
        dilation: step between kernel taps.
        low: padding before the first pixel.
    """
    # Taps a and a + stride / gcd are multiplied with pixels of the same phase.
    common = math.gcd(stride, dilation)
    phases = []
    for sigma in range(stride):
        taps = [a for a in range(kernel) if (sigma + low - a * dilation) % stride == 0]
        first = taps[0] if taps else 0
        phases.append(
            Phase(
                first=first,
                step=stride // common,
                taps=len(taps),
                hole=dilation // common,
                shift=(sigma + low - first * dilation) // stride,
                length=-(-size // stride),
            )
        )
    return phases


def image_phases(
    spec: ConvSpec, input_size: sizes.Size, kernel_size: sizes.Size
) -> tuple[list[Phase], list[Phase]]:
    """Returns the phases of the rows and of the columns.

    Args:
        spec: the convolution.
        input_size: height and width of the images.
        kernel_size: height and width of the kernel.
    """
    rows, columns = (
        axis_phases(n, k, s, d, low)
        for n, k, s, d, (low, _) in zip(
            input_size, kernel_size, spec.strides, spec.dilation, spec.padding, strict=True
        )
    )
    return rows, columns


def interleave(phases: list[list[jax.Array]], size: sizes.Size) -> jax.Array:
    """Returns the image whose phases these are: out(s·t + σ, s·u + τ) = phases[σ][τ](t, u).

    Args:
        phases: an array for each phase, (batch, height / s, width / s, channels), rounded up.
        size: height and width of the result; pixels beyond it are dropped.
    """
    rows = [jnp.stack(row, axis=3) if len(row) > 1 else row[0][:, :, :, None] for row in phases]
    x = jnp.stack(rows, axis=2)
    batch, height, down, width, across, channels = x.shape
    return x.reshape(batch, height * down, width * across, channels)[:, : size[0], : size[1]]


def input_grad(
    spec: ConvSpec, input_size: sizes.Size, grad: jax.Array, kernel: jax.Array
) -> jax.Array:
    """Returns dL/dx(s·t + σ) = Σ_j g(t + shift - j·hole) k(first + j·step).

    Args:
        spec: the convolution.
        input_size: height and width of the images.
        grad: dL/dy, (batch, out_height, out_width, filters).
        kernel: (height, width, channels / groups, filters).
    """
    rows, columns = image_phases(spec, input_size, kernel.shape[:2])
    if spec.groups > 1:
        kernel = direct.with_groups_in_channels(kernel, spec.groups)
    phases = [[_phase(spec, grad, kernel, row, column) for column in columns] for row in rows]
    return interleave(phases, input_size)


def _phase(
    spec: ConvSpec, grad: jax.Array, kernel: jax.Array, row: Phase, column: Phase
) -> jax.Array:
    # A stride beyond the kernel leaves pixels that no window reads.
    if not row.taps or not column.taps:
        return jnp.zeros((grad.shape[0], row.length, column.length, kernel.shape[2]), grad.dtype)
    part = kernel[row.first :: row.step, column.first :: column.step]
    part = lax.rev(part[: row.taps, : column.taps], (0, 1)).swapaxes(2, 3)
    dense = dataclasses.replace(
        spec,
        strides=(1, 1),
        padding=(row.pads(grad.shape[1]), column.pads(grad.shape[2])),
        dilation=(row.hole, column.hole),
    )
    return direct.forward(dense, grad, part)
