"""dL/dk from the image unrolled over the columns and the upstream gradient unrolled over the rows.

Unrolling every tap on one side writes K·K copies of the image. With the K column taps unrolled on
the image's side and the K row taps on the gradient's side, K copies of each do, and one product of
(K C) x pixels x (K F) gives every tap with no multiplication wasted. A few images at a time, so
that the copies stay in the cache, and nothing is transposed. Under a stride S the image's rows fall
into S phases, each with the row taps that meet it.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

from cnnjax.ops import sizes
from cnnjax.ops.accumulation import sum_dtype
from cnnjax.ops.algorithms.taps import shifted, zero_pad
from cnnjax.ops.conv_spec import ConvSpec

CHUNK_BYTES = 2_000_000
"""Unrolled bytes at a time; 2 to 3 MB were the fastest for the layers of ResNet-20."""


def refuses(spec: ConvSpec, input_shape: sizes.Size, kernel_shape: sizes.Size) -> str:
    """Returns why this convolution cannot be unrolled so, or ""."""
    del input_shape, kernel_shape
    return "" if spec.dilation == (1, 1) and spec.groups == 1 else "needs one group, no dilation"


def kernel_grad(
    spec: ConvSpec, kernel_size: sizes.Size, x: jax.Array, grad: jax.Array
) -> jax.Array:
    """dL/dk(a, b) = Σ_r x_b(r) g_a(r), over image rows r of the phase that row a of the window has.

    x_b is the image with column b of the window in its place, g_a(r) the upstream gradient at the
    output row that meets image row r by row a of the window.
    """
    wide = sum_dtype(x.dtype)
    height, width = kernel_size
    stride = spec.strides[0]
    phases = range(min(stride, height))
    # Rows after the last window are of no use; whole phases are reshaped apart.
    rows = -(-((grad.shape[1] - 1) * stride + height) // stride)
    top = spec.padding[0][0]
    pads = ((top, rows * stride - x.shape[1] - top), spec.padding[1])

    def partial_sums(x: jax.Array, grad: jax.Array) -> list[jax.Array]:
        columns = _image_columns(spec, width, zero_pad(x, pads), grad.shape[2])
        columns = columns.reshape(-1, rows, stride, *columns.shape[2:])
        sums = []
        for phase in phases:
            taps = len(range(phase, height, stride))
            left, right = columns[:, :, phase], _gradient_rows(taps, rows, grad)
            dims = (((0, 1, 2), (0, 1, 2)), ((), ()))
            sums.append(
                lax.dot_general(
                    left, right, dims, precision=spec.precision, preferred_element_type=wide
                )
            )
        return sums

    together = _images_together(kernel_size, x, grad)
    if together is None:
        totals = partial_sums(x, grad)
    else:
        parts = [a.reshape(-1, together, *a.shape[1:]) for a in (x, grad)]
        zeros = [
            jnp.zeros((width * x.shape[3], len(range(p, height, stride)) * grad.shape[3]), wide)
            for p in phases
        ]
        totals, _ = lax.scan(
            lambda sums, part: (jax.tree.map(jnp.add, sums, partial_sums(*part)), None),
            zeros,
            parts,
        )
    by_row: list[jax.Array] = [jnp.zeros(())] * height
    for phase, total in zip(phases, totals, strict=True):
        taps = total.reshape(width, x.shape[3], -1, grad.shape[3])
        for number, row in enumerate(range(phase, height, stride)):
            by_row[row] = taps[:, :, number]
    return jnp.stack(by_row).astype(x.dtype)


def _image_columns(spec: ConvSpec, width: int, x: jax.Array, columns: int) -> jax.Array:
    """The padded image's columns under each column of the window, as channels (b, c)."""
    size, strides = (x.shape[1], columns), (1, spec.strides[1])
    views = [shifted(x, (0, b), size, strides, (1, 1)) for b in range(width)]
    return jnp.concatenate(views, axis=3)


def _gradient_rows(taps: int, rows: int, grad: jax.Array) -> jax.Array:
    """The gradient's rows that each tap of a phase brings to its image rows, as channels (t, f)."""
    views = [zero_pad(grad, ((tap, rows - grad.shape[1] - tap), (0, 0))) for tap in range(taps)]
    return jnp.concatenate(views, axis=3)


def _images_together(kernel_size: sizes.Size, x: jax.Array, grad: jax.Array) -> int | None:
    """How many images are unrolled at a time: a divisor of the batch; None for all of them."""
    batch = x.shape[0]
    if not isinstance(batch, int) or batch < 2:  # a symbolic batch has no divisors
        return None
    unrolled = kernel_size[1] * x.shape[3] + kernel_size[0] * grad.shape[3]
    image = x.shape[1] * grad.shape[2] * unrolled * x.dtype.itemsize
    wanted = max(CHUNK_BYTES // max(image, 1), 1)
    together = next(n for n in range(min(wanted, batch), 0, -1) if batch % n == 0)
    return None if together == batch else together
