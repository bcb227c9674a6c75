"""The positions of pooling windows: argument checks, ceil mode, and elements per window."""

from __future__ import annotations

import dataclasses

import jax
import numpy as np

from cnnjax.ops.checks import check_elements, pair
from cnnjax.ops.sizes import (
    PaddingLike,
    Pads,
    Pair,
    PairLike,
    checked_output_size,
    resolve_padding,
    span,
)


@dataclasses.dataclass(frozen=True)
class PoolWindow:
    """The window positions of one pooling, resolved to integers; rows first, then columns.

    Output o of an axis reads the inputs o * stride - low + k * dilation for k = 0 … window - 1.

    Attributes:
        op: the calling function, for messages.
        size: input height and width.
        window: window height and width before dilation.
        strides: steps between windows.
        dilation: steps between the elements of a window.
        pads: padding as ((top, bottom), (left, right)), with what ceil mode adds or leaves unread.
        counted_pads: the part of the padding that an average counts, that is, without what ceil
            mode added.
        output: output height and width.
    """

    op: str
    size: Pair
    window: Pair
    strides: Pair
    dilation: Pair
    pads: Pads
    counted_pads: Pads
    output: Pair

    def counts(self, include_pad: bool) -> np.ndarray:
        """Returns how many elements each window averages over: (1, height, width, 1), float64.

        Args:
            include_pad: count padding, but never what ceil mode added.
        """
        rows, columns = (self._axis_counts(axis, include_pad) for axis in (0, 1))
        return (rows[:, None] * columns[None, :])[None, :, :, None]

    def along(self, axis: int, first: int = 0) -> PoolWindow:
        """Returns the pooling along one axis only, as one of two passes.

        Args:
            axis: 0 for rows, 1 for columns.
            first: the axis of the first pass.
        """
        # The second pass finds as many rows, or columns, as the first has left.
        other = (self.size if axis == first else self.output)[1 - axis]

        def only(pair_, rest):
            return (pair_[0], rest) if axis == 0 else (rest, pair_[1])

        return PoolWindow(
            self.op,
            only(self.size, other),
            only(self.window, 1),
            only(self.strides, 1),
            only(self.dilation, 1),
            only(self.pads, (0, 0)),
            only(self.counted_pads, (0, 0)),
            only(self.output, other),
        )

    def elements_inside(self, output: int, axis: int) -> range:
        """Returns which elements of a window, along one axis, lie inside the image.

        Args:
            output: the window.
            axis: 0 for rows, 1 for columns.
        """
        start = output * self.strides[axis] - self.pads[axis][0]
        step = self.dilation[axis]
        # Rounded up: the first element at or after an edge.
        low = max(-(start // step), 0)
        high = min(-((start - self.size[axis]) // step), self.window[axis])
        return range(low, high) if low < high else range(0)

    def _axis_counts(self, axis: int, include_pad: bool) -> np.ndarray:
        low, high = self.counted_pads[axis] if include_pad else (0, 0)
        starts = np.arange(self.output[axis]) * self.strides[axis] - self.pads[axis][0]
        # As `elements_inside`, within the image and the counted padding.
        edges = (-low, self.size[axis] + high)
        first, last = (
            np.clip(-((starts - edge) // self.dilation[axis]), 0, self.window[axis])
            for edge in edges
        )
        return np.maximum(last - first, 0).astype(np.float64)


def pool_window(
    op: str,
    x: jax.Array,
    window: PairLike,
    strides: PairLike | None,
    padding: PaddingLike,
    dilation: PairLike,
    ceil_mode: bool,
) -> PoolWindow:
    """Returns the window positions of a pooling, with its arguments checked.

    Args:
        op: the calling function, for messages.
        x: floating-point images, (batch, height, width, channels).
        window: window height and width.
        strides: steps between windows; None for the window.
        padding: as in `max_pool`.
        dilation: steps between the elements of a window.
        ceil_mode: as in `max_pool`.

    Raises:
        ValueError: an argument is out of range.
    """
    size = (x.shape[1], x.shape[2])
    window = pair(op, "window", window)
    strides = window if strides is None else pair(op, "strides", strides)
    dilation = pair(op, "dilation", dilation)
    pads = resolve_padding(op, padding, size, window, strides, dilation)
    height, width = (n + low + high for n, (low, high) in zip(size, pads, strict=True))
    padded = (x.shape[0], height, width, x.shape[3])
    check_elements(
        op, "the padded images", padded, window=window, padding=padding, dilation=dilation
    )
    if not ceil_mode:
        output = checked_output_size(op, size, window, strides, pads, dilation)
        return PoolWindow(op, size, window, strides, dilation, pads, pads, output)
    outputs, extended = [], []
    for n, k, s, d, (low, high) in zip(size, window, strides, dilation, pads, strict=True):
        # Rounded up, less the windows that would start beyond the input (PyTorch's rule).
        outputs.append(min(-(-(n + low + high - span(k, d)) // s) + 1, -(-(n + low) // s)))
        extended.append((low, (outputs[-1] - 1) * s + span(k, d) - n - low))
    if min(outputs) < 1:
        raise ValueError(
            f"{op}: no window {window} starts inside the input {size} with padding {pads}; "
            "enlarge padding or shrink the window"
        )
    return PoolWindow(op, size, window, strides, dilation, tuple(extended), pads, tuple(outputs))
