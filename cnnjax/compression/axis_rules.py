"""What each primitive operation does with the places along its operands' axes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnjax.compression.axes import ANY, FIXED, Axes, Axis, Places, filled
from cnnjax.compression.reshaped_axes import reshaped

Why = Callable[[str], str]
"""Puts the layer and the operation before the words of a reason."""


@dataclass(frozen=True)
class Step:
    """An operation whose operands are known.

    Attributes:
        places: the numbered places of the program.
        params: the equation's parameters.
        operands: the axes of each operand.
        shapes: the shapes of the results.
        why: makes a reason.
        kernels: filled with the kernel's axes (input, output) of each product.
    """

    places: Places
    params: dict[str, Any]
    operands: Sequence[Axes]
    shapes: Sequence[tuple[int, ...]]
    why: Why
    kernels: list[tuple[Axis, Axis]]


def follow(name: str, step: Step) -> list[Axes]:
    """Returns the axes of an operation's results.

    Args:
        name: of the primitive.
        step: the operation.
    """
    if not any((axis >= 0).any() or (axis == FIXED).any() for x in step.operands for axis in x):
        # Zeros, ones and random numbers have the sizes that the program gives them.
        made = [filled(shape, ANY) for shape in step.shapes]
        if name == "iota":  # numbers of positions
            made[0][step.params["dimension"]][:] = FIXED
        return made
    if name in _RULES:
        return _RULES[name](step)
    if name in _ELEMENTWISE or name.startswith("random_"):
        return _elementwise(step)
    return _unknown(step)


def _unknown(step: Step) -> list[Axes]:
    """Keeps every channel of an operation that has no rule."""
    step.places.keep_all(
        (axis for x in step.operands for axis in x), step.why("is not known to keep channels apart")
    )
    return [filled(shape, FIXED) for shape in step.shapes]


def _elementwise(step: Step) -> list[Axes]:
    shape = step.shapes[0]
    joined = filled(shape, ANY)
    reason = step.why("joins channels with positions of the image, which stay")
    for operand in step.operands:
        # Scalars meet every place alike.
        if len(operand) == len(shape):
            joined = tuple(
                step.places.join(first, _stretched(step, second, len(first)), reason)
                for first, second in zip(joined, operand, strict=True)
            )
    return [joined for _ in step.shapes]


def _stretched(step: Step, axis: Axis, size: int) -> Axis:
    """Returns an axis of one place as one of several, which all have its value."""
    if len(axis) == size:
        return axis
    step.places.keep(axis, step.why("spreads a single channel over several"))
    return np.full(size, ANY)


def _handed_on(step: Step) -> list[Axes]:
    return list(step.operands[: len(step.shapes)])


def _broadcast(step: Step) -> list[Axes]:
    (operand, *_), shape = step.operands, step.shapes[0]
    axes = list(filled(shape, ANY))
    for axis, place in zip(operand, step.params["broadcast_dimensions"], strict=True):
        if len(axis) == shape[place]:
            axes[place] = axis
        else:
            step.places.keep(axis, step.why("spreads a single channel over several"))
    return [tuple(axes)]


def _reshape(step: Step) -> list[Axes]:
    return [reshaped(step.places, step.operands[0], step.shapes[0], step.why)]


def _squeeze(step: Step) -> list[Axes]:
    dropped = {d % len(step.operands[0]) for d in step.params["dimensions"]}
    return [tuple(axis for d, axis in enumerate(step.operands[0]) if d not in dropped)]


def _transpose(step: Step) -> list[Axes]:
    return [tuple(step.operands[0][d] for d in step.params["permutation"])]


def _reversed(step: Step) -> list[Axes]:
    axes = list(step.operands[0])
    for d in step.params["dimensions"]:
        step.places.keep(axes[d], step.why("reverses the order of channels"))
        axes[d] = axes[d][::-1]
    return [tuple(axes)]


def _concatenate(step: Step) -> list[Axes]:
    along = step.params["dimension"]
    axes = list(step.operands[0])
    reason = step.why("joins channels with positions of the image, which stay")
    for operand in step.operands[1:]:
        for d, axis in enumerate(operand):
            if d == along:
                axes[d] = np.concatenate([axes[d], axis])
            else:
                axes[d] = step.places.join(axes[d], axis, reason)
    return [tuple(axes)]


def _pad(step: Step) -> list[Axes]:
    axes = []
    for axis, (low, high, inner) in zip(
        step.operands[0], step.params["padding_config"], strict=True
    ):
        size = max(0, low) + len(axis) + max(0, len(axis) - 1) * inner + max(0, high)
        if low < 0 or high < 0 or inner:
            step.places.keep(axis, step.why("cuts channels off, or sets them apart"))
            axes.append(np.full(size + min(0, low) + min(0, high), FIXED))
            continue
        # New positions of an image stay; new channels of zeros are as many as the program needs.
        new = FIXED if (axis == FIXED).all() else ANY
        axes.append(np.concatenate([np.full(low, new), axis, np.full(high, new)]))
    return [tuple(axes)]


def _slice(step: Step) -> list[Axes]:
    params = step.params
    ends = zip(
        params["start_indices"],
        params["limit_indices"],
        params["strides"] or [1] * len(step.operands[0]),
        strict=True,
    )
    axes = []
    for axis, (start, limit, stride) in zip(step.operands[0], ends, strict=True):
        if (start, limit, stride) != (0, len(axis), 1):
            step.places.keep(axis, step.why("takes some of the channels by their positions"))
        axes.append(axis[start:limit:stride])
    return [tuple(axes)]


def _dynamic_slice(step: Step) -> list[Axes]:
    axes = []
    for axis, size in zip(step.operands[0], step.shapes[0], strict=True):
        if size != len(axis):
            step.places.keep(axis, step.why("takes some of the channels by their positions"))
            axis = np.full(size, FIXED)
        axes.append(axis)
    return [tuple(axes)]


def _split(step: Step) -> list[Axes]:
    along, operand = step.params["axis"], step.operands[0]
    step.places.keep(operand[along], step.why("cuts the channels into parts"))
    ends = np.cumsum(step.params["sizes"])[:-1]
    parts = np.split(operand[along], ends)
    return [tuple(part if d == along else a for d, a in enumerate(operand)) for part in parts]


def _reduce(step: Step) -> list[Axes]:
    operand, dropped = step.operands[0], step.params["axes"]
    for d in dropped:
        step.places.keep(operand[d], step.why("computes one value from all channels"))
    kept = tuple(axis for d, axis in enumerate(operand) if d not in dropped)
    return [kept for _ in step.shapes]


def _window(step: Step) -> list[Axes]:
    params, operand = step.params, step.operands[0]
    moved = zip(
        params["window_dimensions"], params["window_strides"], params["padding"], strict=True
    )
    axes = []
    for axis, size, (window, stride, pads) in zip(operand, step.shapes[0], moved, strict=True):
        if (window, stride, tuple(pads)) != (1, 1, (0, 0)):
            step.places.keep(axis, step.why("computes values from neighboring channels"))
            axis = np.full(size, FIXED)
        axes.append(axis)
    return [tuple(axes) for _ in step.shapes]


def _convolution(step: Step) -> list[Axes]:
    params, (image, kernel) = step.params, step.operands
    numbers, places = params["dimension_numbers"], step.places
    batch, channels = (image[d] for d in numbers.lhs_spec[:2])
    outputs, inputs = (kernel[d] for d in numbers.rhs_spec[:2])
    groups = params["feature_group_count"]
    places.keep_all((kernel[d] for d in numbers.rhs_spec[2:]), step.why("has windows of this size"))
    if params["batch_group_count"] != 1:
        return _unknown(step)
    step.kernels.append((inputs, outputs))
    reason = step.why("takes the channels of the image, which stay")
    per_group = channels.reshape(groups, -1)
    if groups > 1 and per_group.shape[1] == 1:
        # Depthwise: a channel and its own filters go together, and the number of groups with them.
        places.keep(inputs, step.why("has one input channel for each group"))
        for filters in outputs.reshape(groups, -1).T:
            places.join(channels, filters, reason)
    else:
        # Each group loses as many channels as the others, so that the groups stay.
        for part in per_group:
            inputs = places.join(inputs, part, reason)
        filters = outputs.reshape(groups, -1)
        for part in filters[1:]:
            places.join(filters[0], part, reason)
    axes: list[Any] = [None] * len(step.shapes[0])
    for d, place in enumerate(numbers.out_spec):
        size = step.shapes[0][place]
        axes[place] = (batch, outputs)[d] if d < 2 else np.full(size, FIXED)
    return [tuple(axes)]


def _product(step: Step) -> list[Axes]:
    (left, right), places = step.operands, step.places
    (left_sums, right_sums), (left_batch, right_batch) = step.params["dimension_numbers"]
    reason = step.why("multiplies channels with positions of the image, which stay")
    for d, e in zip(left_sums, right_sums, strict=True):
        places.join(left[d], right[e], reason)
    shared = [
        places.join(left[d], right[e], reason) for d, e in zip(left_batch, right_batch, strict=True)
    ]
    rows = [left[d] for d in range(len(left)) if d not in (*left_sums, *left_batch)]
    columns = [right[d] for d in range(len(right)) if d not in (*right_sums, *right_batch)]
    if len(right_sums) == 1 and len(columns) == 1:
        step.kernels.append((right[right_sums[0]], columns[0]))
    return [(*shared, *rows, *columns)]


# Operations that compute each value from the values at its own place.
# fmt: off
_ARITHMETIC = (
    "add", "add_any", "sub", "mul", "div", "rem", "neg", "abs", "sign", "max", "min", "clamp",
    "pow", "integer_pow", "square", "sqrt", "rsqrt", "cbrt", "nextafter",
)
_FUNCTIONS = (
    "exp", "exp2", "expm1", "log", "log1p", "logistic", "tanh", "sin", "cos", "tan", "sinh",
    "cosh", "asin", "acos", "atan", "atan2", "asinh", "acosh", "atanh", "erf", "erfc", "erf_inv",
    "lgamma", "digamma", "floor", "ceil", "round",
)
_LOGIC = (
    "eq", "ne", "lt", "le", "gt", "ge", "and", "or", "xor", "not", "select_n", "is_finite",
    "shift_left", "shift_right_logical", "shift_right_arithmetic",
)
_HANDED = (
    "name", "copy", "copy_p", "convert_element_type", "reduce_precision", "stop_gradient",
    "reverse_mode_only", "device_put", "sharding_constraint", "pcast", "pvary", "real", "imag",
)
# fmt: on
_ELEMENTWISE = frozenset((*_ARITHMETIC, *_FUNCTIONS, *_LOGIC, *_HANDED))

_REDUCTIONS = ("sum", "max", "min", "prod", "and", "or", "xor")

_RULES: dict[str, Callable[[Step], list[Axes]]] = {
    "optimization_barrier": _handed_on,
    "broadcast_in_dim": _broadcast,
    "reshape": _reshape,
    "squeeze": _squeeze,
    "transpose": _transpose,
    "rev": _reversed,
    "concatenate": _concatenate,
    "pad": _pad,
    "slice": _slice,
    "dynamic_slice": _dynamic_slice,
    "split": _split,
    "argmax": _reduce,
    "argmin": _reduce,
    **{f"reduce_{kind}": _reduce for kind in _REDUCTIONS},
    **{f"reduce_window{kind}": _window for kind in ("_sum", "_max", "_min", "")},
    "conv_general_dilated": _convolution,
    "dot_general": _product,
}
