"""A traced model as rows, one for each layer: cost, shape and receptive field."""

import collections
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax

from cnnjax.analysis.calls import ModuleCall
from cnnjax.analysis.cost.operations import Operation
from cnnjax.analysis.cost.traces import Trace
from cnnjax.nn.activations import SCOPE as ACTIVATION

KINDS = {
    "conv_general_dilated": "conv2d",
    "dot_general": "matmul",
    "reduce_window_max": "max_pool",
    "reduce_window_sum": "avg_pool",
    "reduce_window": "pool",
    "reduce_sum": "global_avg_pool",
    "reduce_max": "global_max_pool",
    "concatenate": "concatenate",
    "add": "add",
}
"""Primitive operations that are layers of their own outside of modules, and their names."""


@dataclass(frozen=True)
class Row:
    """One layer.

    Attributes:
        name: the module's path, "#2" for its second call; for a function, the path of the
            module that calls it and the function.
        kind: the module's class, or the function.
        shape: the output's shape for one image.
        parameters: trainable parameters, at the first call.
        multiply_adds: of convolutions and matrix products, for one image.
        values: number of values in the output, for one image.
        bytes_forward: bytes of the output, for one image.
        bytes_kept: bytes that a training step keeps from this layer until its backward pass.
        field: receptive field, rows and columns in pixels; parts in the padding count.
        stride: pixels between the fields of neighboring outputs; 0 where all
            outputs see the same pixels.
        padding: pixels by which the first field lies outside the image, at the top and left.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int = 0
    multiply_adds: int = 0
    values: int = 0
    bytes_forward: int = 0
    bytes_kept: int = 0
    field: tuple[int, int] | None = None
    stride: tuple[float, float] | None = None
    padding: tuple[float, float] | None = None


def layer_rows(trace: Trace, params: Mapping[str, Any]) -> tuple[list[Row], int]:
    """Groups the operations of a traced model into layers.

    A layer is a module that calls no other; convolutions, matrix products, pools, additions and
    concatenations written as functions are layers too.

    Args:
        trace: of `trace_operations`, for a batch of 1.
        params: the collection "params", or its shapes.

    Returns:
        The rows in the order of computation, and the number of parameters of modules that are not
        called.
    """
    calls, operations = trace.calls, trace.operations
    marked = {operation.marks for operation in operations if operation.marks is not None}
    # A layer that returns no single array ends with its last operation.
    ends = {op.call: i for i, op in enumerate(operations) if op.call not in marked}
    costs: collections.Counter[int] = collections.Counter()
    work: collections.Counter[int] = collections.Counter()
    owners = _Owners(calls, params)
    names: collections.Counter[str] = collections.Counter()
    rows: list[Row] = []
    for i, operation in enumerate(operations):
        call = operation.call if operation.marks is None else operation.marks
        if calls[call].is_leaf:
            if operation.marks is None:
                costs[call] += operation.multiply_adds
                work[call] += 1
            ended = operation.marks is not None or ends.get(call) == i
            parameters = owners.take(call) if ended else 0
            # Some layers, such as dropout, compute nothing when a model is evaluated.
            if ended and (work[call] or parameters):
                row = _row(calls[call].name, calls[call].kind, operation)
                # The layer's own count comes first: some layers compute more, such as `ConvLocal`,
                # which gathers by a convolution.
                products = trace.products.get(call, 0) * operation.turns or costs[call]
                rows.append(replace(row, parameters=parameters, multiply_adds=products))
        elif operation.marks is None and is_layer(operation):
            kind = operation.function or KINDS[operation.primitive]
            name = f"{calls[call].name}/{kind}".lstrip("/")
            names[name] += 1
            name += f"#{names[name]}" if names[name] > 1 else ""
            row = _row(name, kind, operation)
            rows.append(replace(row, multiply_adds=operation.multiply_adds))
    # Such as an embedding of positions, which a module adds without a layer.
    for path, parameters in owners.own_parameters():
        rows.append(Row("/".join(path), "own parameters", (), parameters))
    return rows, owners.uncalled()


def is_layer(operation: Operation) -> bool:
    """Returns whether an operation outside of modules is a layer: a bias, for example, is none.

    Args:
        operation: the operation.
    """
    if operation.primitive not in KINDS or not operation.depends:
        return False
    image = len(operation.output_shapes[0]) > 2
    if operation.primitive in ("add", "concatenate"):
        # Branches that join have one shape; a bias has another.
        same = operation.primitive != "add" or len(set(operation.input_shapes)) == 1
        # An activation such as gelu adds too, but works in place.
        inside = operation.function == ACTIVATION
        return image and same and operation.depends > 1 and not inside
    if operation.primitive in ("reduce_sum", "reduce_max"):
        # A global pool reduces rows and columns together.
        return len(operation.input_shapes[0]) == 4 and {1, 2} <= set(operation.axes)
    return True


def _row(name: str, kind: str, operation: Operation) -> Row:
    """Returns the row of a layer that ends with an operation, without its costs."""
    shape = operation.output_shapes[0]
    values = math.prod(shape)
    row = Row(
        name,
        kind,
        shape[1:],
        values=values,
        bytes_forward=values * operation.output_dtype.itemsize,
    )
    rows, columns = operation.reaches
    if rows is None or columns is None:
        return row
    return replace(
        row,
        field=(rows.size, columns.size),
        stride=None
        if rows.stride is None or columns.stride is None
        else (_number(rows.stride), _number(columns.stride)),
        padding=(_number(-rows.low), _number(-columns.low)),
    )


def _number(value: Any) -> float:
    """Returns a whole fraction as an int, so that it prints as one, and others as a float."""
    return int(value) if value == int(value) else float(value)


class _Owners:
    """Assigns parameters to calls, each of them once."""

    def __init__(self, calls: Sequence[ModuleCall], params: Mapping[str, Any]):
        self._paths = [call.path for call in calls]
        self._called = set(self._paths)
        self._left = {
            tuple(str(getattr(key, "key", key)) for key in path): math.prod(leaf.shape)
            for path, leaf in jax.tree_util.tree_leaves_with_path(params)
        }

    def take(self, call: int) -> int:
        """Returns the number of parameters beneath a call's path that no call has taken yet."""
        path = self._paths[call]
        taken = [name for name in self._left if name[: len(path)] == path]
        return sum(self._left.pop(name) for name in taken)

    def own_parameters(self) -> list[tuple[tuple[str, ...], int]]:
        """Returns paths and sizes of the parameters that called modules own outside of layers."""
        own = [(name[:-1], size) for name, size in self._left.items() if name[:-1] in self._called]
        self._left = {n: s for n, s in self._left.items() if n[:-1] not in self._called}
        return own

    def uncalled(self) -> int:
        """Returns the number of parameters that are left: those of modules that were not called."""
        return sum(self._left.values())
