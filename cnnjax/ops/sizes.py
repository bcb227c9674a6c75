"""Sizes of convolution and pooling windows: paddings and the output size, with their checks.

Every op resolves its arguments here, so that the same number or word means the same in every
op, and a wrong one is refused with the same message.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cnnjax.ops.checks import check_steps, given, int_pair, is_int, is_sequence

Pair = tuple[int, int]
Size = tuple[int, ...]
Pads = tuple[Pair, Pair]
PairLike = int | Sequence[int]
PaddingLike = str | int | Sequence[int] | Sequence[Sequence[int]]

WORDS = ("SAME", "SAME_LOWER", "VALID")
"""Paddings that follow from the sizes."""


def span(kernel: int, dilation: int = 1) -> int:
    """Returns how many inputs a kernel reaches over, holes included: (K - 1) * dilation + 1.

    Args:
        kernel: its size K along one axis.
        dilation: the step between kernel taps.
    """
    return (kernel - 1) * dilation + 1 if kernel else 0


def output_size(
    size: int,
    kernel: int,
    stride: int = 1,
    padding: str | int | Sequence[int] = 0,
    dilation: int = 1,
) -> int:
    """Returns the output size of a convolution or pooling along one axis: (D - K + 2P) / S + 1.

    The division rounds down. K is the dilated kernel, `span(kernel, dilation)`; with an asymmetric
    padding, `low + high` replaces 2P.

    Args:
        size: the input size D.
        kernel: the kernel size K before dilation.
        stride: the stride S.
        padding: P on both sides, a pair (low, high), or "SAME", "SAME_LOWER" or "VALID".
        dilation: the step between kernel taps.

    Returns:
        The number of window positions, at least 1.

    Raises:
        ValueError: an argument is out of range, or the window is larger than the padded input.

    Example:
        >>> from cnnjax import ops
        >>> ops.output_size(224, kernel=7, stride=2, padding=3)
        112
    """
    for name, value, least in (
        ("size", size, 1),
        ("kernel", kernel, 1),
        ("stride", stride, 1),
        ("dilation", dilation, 1),
    ):
        if not is_int(value) or value < least:
            raise ValueError(
                f"output_size: {name} must be an int of at least {least}, got {given(value)}"
            )
    low, high = _resolve_axis("output_size", padding, size, kernel, stride, dilation, padding)
    window = span(kernel, dilation)
    if window > size + low + high:
        raise ValueError(
            f"output_size: the window of {window} (kernel {kernel}, dilation {dilation}) is larger "
            f"than the padded input of {size + low + high}; enlarge padding or shrink the window"
        )
    return (size + low + high - window) // stride + 1


def resolve_padding(
    op: str,
    padding: PaddingLike,
    size: Size,
    window: Size,
    strides: Pair = (1, 1),
    dilation: Pair = (1, 1),
) -> Pads:
    """Returns `padding` as ((top, bottom), (left, right)) in pixels.

    Args:
        op: the calling function, for the message.
        padding: "SAME" (output size is input size / stride, rounded up; the odd pixel goes to the
            bottom and right, as in lax), "SAME_LOWER" (to the top and left), "VALID" (none), an int
            for all four sides, a pair (rows, columns), or a pair of (low, high) pairs.
        size: input height and width.
        window: kernel height and width before dilation.
        strides: strides, needed by "SAME".
        dilation: the steps between kernel taps, needed by "SAME".

    Raises:
        ValueError: `padding` is none of these, negative or above `MOST_STEPS`.
    """
    axes = zip(_axes(padding), size, window, strides, dilation, strict=True)
    rows, columns = (_resolve_axis(op, a, n, k, s, d, whole=padding) for a, n, k, s, d in axes)
    return (rows, columns)


def check_padding(op: str, name: str, padding: Any) -> None:
    """Raises a ValueError unless `padding` is one that `resolve_padding` takes.

    Args:
        op: the calling function, for the message.
        name: the argument, for the message.
        padding: the value to check.
    """
    for axis in _axes(padding):
        _sides(op, axis, padding, name)


def checked_output_size(
    op: str, size: Size, window: Size, strides: Pair, pads: Pads, dilation: Pair
) -> Pair:
    """Returns the output height and width for resolved arguments.

    Args:
        op: the calling function, for the message.
        size: input height and width.
        window: window height and width before dilation.
        strides: steps between windows.
        pads: ((top, bottom), (left, right)) in pixels.
        dilation: steps between the elements of a window.

    Raises:
        ValueError: the window, holes included, is larger than the padded input.
    """
    spans = tuple(span(k, d) for k, d in zip(window, dilation, strict=True))
    padded = tuple(n + low + high for n, (low, high) in zip(size, pads, strict=True))
    if any(k > n for k, n in zip(spans, padded, strict=True)):
        holes = f", spanning {spans} with dilation {dilation}," if dilation != (1, 1) else ""
        raise ValueError(
            f"{op}: window {window}{holes} is larger than the padded input {padded}; "
            f"enlarge padding or shrink the window (x has the size {size})"
        )
    rows, columns = ((n - k) // s + 1 for n, k, s in zip(padded, spans, strides, strict=True))
    return (rows, columns)


def _axes(padding: Any) -> Sequence[Any]:
    """Returns the padding of the rows and that of the columns; None for what is no padding."""
    if isinstance(padding, str) or is_int(padding):
        return (padding, padding)
    return padding if is_sequence(padding) and len(padding) == 2 else (None, None)


def _resolve_axis(
    op: str, padding: Any, size: int, kernel: int, stride: int, dilation: int, whole: Any
) -> Pair:
    sides = _sides(op, padding, whole, "padding")
    if isinstance(sides, str):
        if sides == "VALID":
            return (0, 0)
        # A stride beyond the kernel would make it negative, which lax counts as none.
        total = max((-(-size // stride) - 1) * stride + span(kernel, dilation) - size, 0)
        low = total // 2 if sides == "SAME" else total - total // 2
        return (low, total - low)
    return sides


def _sides(op: str, padding: Any, whole: Any, name: str) -> str | Pair:
    """Returns the padding of one axis as a word in capitals or as (low, high).

    Args:
        op: the calling function, for the message.
        padding: of the axis.
        whole: the argument that it is a part of, for the message.
        name: the argument, for the message.
    """
    if isinstance(padding, str) and padding.upper() in WORDS:
        return padding.upper()
    sides = int_pair(padding, 0)
    if sides is None:
        raise ValueError(
            f"{op}: {name} must be one of {', '.join(map(repr, WORDS))}, an int, a pair of ints "
            f"(rows, columns) or ((top, bottom), (left, right)), all at least 0, got {given(whole)}"
        )
    check_steps(op, name, sides)
    return sides
