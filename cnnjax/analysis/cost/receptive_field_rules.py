"""How the results of each primitive operation of a jaxpr depend on the image."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cnnjax.analysis.cost.receptive_field import Reach, union

Rule = Callable[[Mapping[str, Any], Sequence[Reach | None], tuple[int, ...]], Reach | None]


def propagate(
    primitive: str,
    params: Mapping[str, Any],
    inputs: Sequence[Reach | None],
    shapes: Sequence[tuple[int, ...]],
) -> list[Reach | None]:
    """Returns the dependence of an operation's results on the image.

    Args:
        primitive: the operation's name.
        params: its parameters, and the shapes of all operands as "_shapes".
        inputs: the dependence of its operands along one axis of the image; None for operands that
            do not depend on the image.
        shapes: the shapes of its results.

    Returns:
        One entry a result. Operations without a rule count as elementwise where the shapes agree;
        otherwise each result depends on everything.
    """
    if all(reach is None for reach in inputs):
        return [None] * len(shapes)
    rule = _RULES.get(primitive, _by_shape)
    return [rule(params, inputs, shape) for shape in shapes]


def _joined(reaches: Sequence[Reach | None]) -> Reach | None:
    result = None
    for reach in reaches:
        if reach is not None:
            result = reach if result is None else union(result, reach)
    return result


def _by_shape(params, inputs, shape):
    if all(reach is None or reach.shape == shape for reach in inputs):
        return _joined(inputs)
    return _joined([reach and reach.everywhere(shape) for reach in inputs])


def _everywhere(params, inputs, shape):
    return _joined([reach and reach.everywhere(shape) for reach in inputs])


def _cumulative(params, inputs, shape):
    return inputs[0].widened([params["axis"]])


def _select(params, inputs, shape):
    """The rule of `select_n` and `clamp`, whose condition and bounds may be scalars."""
    return _joined([r if r is None or r.shape == shape else r.everywhere(shape) for r in inputs])


def _spread(reach, shape):
    return None if reach is None else reach.everywhere(shape)


def _broadcast(params, inputs, shape):
    sources: list[int | None] = [None] * len(shape)
    for axis, target in enumerate(params["broadcast_dimensions"]):
        sources[target] = axis
    return inputs[0].selected(sources, shape)


def _reshape(params, inputs, shape):
    if params.get("dimensions") is not None:
        return inputs[0].everywhere(shape)
    return inputs[0].reshaped(shape)


def _transpose(params, inputs, shape):
    return inputs[0].selected(list(params["permutation"]), shape)


def _squeeze(params, inputs, shape):
    gone = params["dimensions"]
    return inputs[0].selected([a for a in range(len(inputs[0].shape)) if a not in gone], shape)


def _reduce(params, inputs, shape):
    gone = params["axes"]
    reach = _joined(inputs)
    kept = [a for a in range(len(params["_shapes"][0])) if a not in gone]
    return reach and reach.selected(kept, shape)


def _reverse(params, inputs, shape):
    reach = inputs[0]
    for axis in params["dimensions"]:
        reach = reach.reversed(axis)
    return reach


def _slice(params, inputs, shape):
    reach = inputs[0]
    for axis, start in enumerate(params["start_indices"]):
        stride = params["strides"][axis] if params["strides"] else 1
        # A slice is a window of one element, which starts later.
        reach = reach.windowed(axis, shape[axis], 1, stride=stride, padding=-start)
    return reach


def _dynamic_slice(params, inputs, shape):
    """The rule of a slice whose place is not known: every place that could be read counts."""
    operand = inputs[0]
    if operand is None:
        return _everywhere(params, inputs, shape)
    moved = [a for a, n in enumerate(shape) if n != operand.shape[a]]
    widened = operand.widened(moved)
    own = Reach(shape, widened.coefficients, widened.low, widened.high)
    return _joined([own, *(_spread(reach, shape) for reach in inputs[1:])])


def _pad(params, inputs, shape):
    operand, value = inputs
    if operand is not None:
        for axis, (low, _, interior) in enumerate(params["padding_config"]):
            operand = operand.windowed(
                axis, shape[axis], 1, padding=low, base_dilation=interior + 1
            )
    return _joined([operand, _spread(value, shape)])


def _concatenate(params, inputs, shape):
    axis, start, parts = params["dimension"], 0, []
    for reach, own in zip(inputs, params["_shapes"], strict=True):
        if reach is not None:
            # A later part is as a window that starts before its first element.
            parts.append(reach.windowed(axis, shape[axis], 1, padding=start))
        start += own[axis]
    return _joined(parts)


def _reduce_window(params, inputs, shape):
    # The first half of the operands are arrays, the second half their initial values.
    reach = _joined(inputs[: max(len(inputs) // 2, 1)])
    if reach is None:
        return None
    ones = (1,) * len(shape)
    for axis, window in enumerate(params["window_dimensions"]):
        reach = reach.windowed(
            axis,
            shape[axis],
            window,
            stride=params["window_strides"][axis],
            padding=params["padding"][axis][0],
            dilation=(params.get("window_dilation") or ones)[axis],
            base_dilation=(params.get("base_dilation") or ones)[axis],
        )
    return reach


def _convolution(params, inputs, shape):
    image, kernel = inputs
    # A kernel that depends on the image moves with it, so no fixed window describes the result.
    if kernel is not None:
        return _everywhere(params, inputs, shape)
    numbers = params["dimension_numbers"]
    spatial, out_spatial = numbers.lhs_spec[2:], numbers.out_spec[2:]
    kernel_shape = params["_shapes"][1]
    for i, axis in enumerate(spatial):
        image = image.windowed(
            axis,
            shape[out_spatial[i]],
            kernel_shape[numbers.rhs_spec[2 + i]],
            stride=params["window_strides"][i],
            padding=params["padding"][i][0],
            dilation=params["rhs_dilation"][i],
            base_dilation=params["lhs_dilation"][i],
        )
    sources: list[int | None] = [None] * len(shape)
    # An output channel depends on every input channel, so that only the other axes have sources.
    sources[numbers.out_spec[0]] = numbers.lhs_spec[0]
    for axis, target in zip(spatial, out_spatial, strict=True):
        sources[target] = axis
    return image.selected(sources, shape)


def _dot(params, inputs, shape):
    (contract, batch), parts = params["dimension_numbers"], []
    batches = len(batch[0])
    free = [
        [a for a in range(len(s)) if a not in (*contract[side], *batch[side])]
        for side, s in enumerate(params["_shapes"])
    ]
    for side, reach in enumerate(inputs):
        if reach is None:
            continue
        own: list[int | None] = [*batch[side]]
        before = [None] * len(free[0])
        own += free[0] if side == 0 else before
        own += [None] * (len(shape) - batches - len(free[0])) if side == 0 else free[1]
        parts.append(reach.selected(own, shape))
    return _joined(parts)


_RULES: dict[str, Rule] = {
    "broadcast_in_dim": _broadcast,
    "reshape": _reshape,
    "transpose": _transpose,
    "squeeze": _squeeze,
    "rev": _reverse,
    "slice": _slice,
    "dynamic_slice": _dynamic_slice,
    "pad": _pad,
    "concatenate": _concatenate,
    "select_n": _select,
    "clamp": _select,
    "conv_general_dilated": _convolution,
    "dot_general": _dot,
    "gather": _everywhere,
    "scatter": _everywhere,
    "scatter-add": _everywhere,
    "scatter_add": _everywhere,
    "sort": _everywhere,
    "fft": _everywhere,
    "dynamic_update_slice": _everywhere,
    **dict.fromkeys(("cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp"), _cumulative),
    **dict.fromkeys(
        ("reduce_sum", "reduce_max", "reduce_min", "reduce_prod", "reduce_and", "reduce_or"),
        _reduce,
    ),
    **dict.fromkeys(("argmax", "argmin"), _reduce),
    **dict.fromkeys(
        (
            "reduce_window",
            "reduce_window_max",
            "reduce_window_min",
            "reduce_window_sum",
        ),
        _reduce_window,
    ),
}
