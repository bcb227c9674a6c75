"""The operations of one application of a model, in order, each with the module that it belongs to.

A model is traced by shapes alone. Of operations that have one form for each platform, the general
form is read; the loops of `lax.scan` are read once for each of their turns.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import flax.linen as linen
import jax
from jax import ad_checkpoint
from jax.extend.core import (
    ClosedJaxpr,  # pyright: ignore[reportPrivateImportUsage] (JAX 0.12 does not list it)
    Jaxpr,
    Literal,
)

from cnnjax.analysis.calls import ModuleCall, evaluation_arguments, observe_calls
from cnnjax.analysis.cost.multiply_adds import layer_multiply_adds
from cnnjax.analysis.cost.reach import Reach
from cnnjax.analysis.cost.reach_rules import propagate

_MARK = "call:"
# Operations that run an inner program on their own operands.
_INLINED = frozenset(
    {
        "jit",
        "pjit",
        "closed_call",
        "core_call",
        "custom_jvp_call",
        "custom_vjp_call",
        "custom_vjp_call_jaxpr",
        "checkpoint",
        "remat2",
        "remat",
    }
)

Reaches = tuple[Reach | None, Reach | None]
_INDEPENDENT: Reaches = (None, None)


@dataclass(frozen=True)
class Operation:
    """One primitive operation of a traced model.

    Attributes:
        primitive: the name of the primitive.
        call: index of the innermost module call that it belongs to.
        input_shapes, output_shapes: shapes, with the batch.
        output_dtype: dtype of the first result.
        multiply_adds: of convolutions and matrix products that depend on the image, 0 for others.
        depends: how many operands depend on the image.
        reaches: the dependence of the first result on the rows and the columns of the image.
        turns: how often a loop repeats it; `multiply_adds` counts every turn.
        axes: the axes that a reduction removes.
        function: the named scope that it stands in within its module, such as "max_pool".
        marks: the call whose result this is; None for true operations.
    """

    primitive: str
    call: int
    input_shapes: tuple[tuple[int, ...], ...]
    output_shapes: tuple[tuple[int, ...], ...]
    output_dtype: Any
    multiply_adds: int
    depends: int
    reaches: Reaches
    axes: tuple[int, ...] = ()
    turns: int = 1
    marks: int | None = None
    function: str = ""


@dataclass(frozen=True)
class Trace:
    """A model's application, read from shapes.

    Attributes:
        calls: the module calls, in the order in which they begin.
        operations: the primitive operations in order; they refer to calls by index.
        products: multiply-adds of one turn of the calls that are convolutions or dense layers.
    """

    calls: Sequence[ModuleCall]
    operations: Sequence[Operation]
    products: Mapping[int, int]


def trace_operations(
    model: linen.Module, variables: Any, images: Any, **apply_arguments: Any
) -> Trace:
    """Traces a model without running it.

    Args:
        model: any Flax module.
        variables: its variables, or their shapes.
        images: its input [batch, height, width, channels], or the shape of it; other ranks are
            traced too, with rows and columns read as axes 1 and 2 where there are such.
        **apply_arguments: keyword arguments of `__call__`; evaluation mode is chosen if not given.

    Returns:
        The module calls and the operations.

    Raises:
        TypeError: `__call__` needs arguments that were not given.
    """
    arguments = evaluation_arguments(model, apply_arguments)
    count = 0
    products: dict[int, int] = {}

    def around(
        call: ModuleCall, module: linen.Module, inputs: tuple[Any, ...], proceed: Callable[[], Any]
    ) -> Any:
        nonlocal count
        index = count
        count += 1
        with jax.named_scope(f"{_MARK}{index}"):
            output = proceed()
        if not isinstance(output, jax.Array):
            return output
        if inputs and (known := layer_multiply_adds(module, inputs[0].shape, output.shape)):
            products[index] = known
        return ad_checkpoint.checkpoint_name(output, f"{_MARK}{index}")

    with observe_calls(around) as calls:
        program = jax.make_jaxpr(lambda v, x: model.apply(v, x, **arguments))(variables, images)
    rank = len(images.shape)
    image = Reach.of_image(images.shape, 1), Reach.of_image(images.shape, 2 if rank > 3 else 1)
    inputs = [_INDEPENDENT] * (len(program.jaxpr.invars) - 1) + [image]
    operations: list[Operation] = []
    _read(program.jaxpr, inputs, "", 1, operations.append)
    return Trace(calls, operations, products)


def _read(
    program: Jaxpr,
    inputs: Sequence[Reaches],
    scope: str,
    turns: int,
    note: Callable[[Operation], None],
) -> list[Reaches]:
    """Follows the dependence through a program, noting its operations; returns the results'."""
    known: dict[Any, Reaches] = dict(zip(program.invars, inputs, strict=True))
    known.update(dict.fromkeys(program.constvars, _INDEPENDENT))

    def of(atom: Any) -> Reaches:
        return _INDEPENDENT if isinstance(atom, Literal) else known[atom]

    for equation in program.eqns:
        operands = [of(atom) for atom in equation.invars]
        inner_scope = f"{scope}/{equation.source_info.name_stack}"
        name, params = equation.primitive.name, equation.params
        if name == "cond" and (branch := _general_branch(params)) is not None:
            results = _read(branch, operands[1:], inner_scope, turns, note)
        elif name in _INLINED and (inner := _inner_program(params)) is not None:
            results = _read(inner, operands, inner_scope, turns, note)
        elif name == "scan":
            results = _read_scan(equation, operands, inner_scope, turns, note)
        else:
            results = _results(equation, operands)
            note(_operation(equation, operands, results, inner_scope, turns))
        known.update(zip(equation.outvars, results, strict=True))
    return [of(atom) for atom in program.outvars]


def _general_branch(params: Mapping[str, Any]) -> Jaxpr | None:
    """The branch for platforms without a form of their own; None for conditions on data."""
    for branch, platforms in zip(
        params["branches"], params.get("branches_platforms") or (), strict=False
    ):
        if platforms is None:
            return branch.jaxpr
    return None


def _inner_program(params: Mapping[str, Any]) -> Jaxpr | None:
    for name in ("jaxpr", "call_jaxpr", "fun_jaxpr"):
        if name in params:
            inner = params[name]
            return inner.jaxpr if isinstance(inner, ClosedJaxpr) else inner
    return None


def _read_scan(
    equation: Any,
    operands: Sequence[Reaches],
    scope: str,
    turns: int,
    note: Callable[[Operation], None],
) -> list[Reaches]:
    """Turns of a loop: what is carried is followed from turn to turn, operations noted once."""
    body, length = equation.params["jaxpr"].jaxpr, equation.params["length"]
    # What is stacked has one axis more outside of the loop. The operands are those that stay, those
    # that are carried, and stacks; the results those that are carried, and stacks.
    stacks_in, stacks_out = (
        sum(len(o.aval.shape) > len(i.aval.shape) for o, i in zip(outer, inner, strict=True))
        for outer, inner in ((equation.invars, body.invars), (equation.outvars, body.outvars))
    )
    carried = len(body.outvars) - stacks_out
    fixed = len(body.invars) - carried - stacks_in
    carry = list(operands[fixed : fixed + carried])
    # A slice of a stack that depends on the image may depend on all of it.
    slices = [
        _everywhere(reaches, variable.aval.shape)
        for reaches, variable in zip(
            operands[fixed + carried :], body.invars[fixed + carried :], strict=True
        )
    ]
    results: list[Reaches] = []
    for turn in range(length):
        quiet = turn < length - 1
        results = _read(
            body,
            [*operands[:fixed], *carry, *slices],
            scope,
            turns * length,
            (lambda operation: None) if quiet else note,
        )
        carry = results[:carried]
    stacked = [
        _everywhere(reaches, (length, *variable.aval.shape))
        for reaches, variable in zip(results[carried:], body.outvars[carried:], strict=True)
    ]
    return [*carry, *stacked]


def _everywhere(reaches: Reaches, shape: Sequence[int]) -> Reaches:
    rows, columns = (None if r is None else r.everywhere(shape) for r in reaches)
    return rows, columns


def _results(equation: Any, operands: Sequence[Reaches]) -> list[Reaches]:
    shapes = [variable.aval.shape for variable in equation.outvars]
    params = dict(equation.params, _shapes=_shapes(equation.invars))
    rows, columns = (
        propagate(equation.primitive.name, params, [o[axis] for o in operands], shapes)
        for axis in (0, 1)
    )
    return list(zip(rows, columns, strict=True))


def _shapes(atoms: Sequence[Any]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(getattr(atom.aval, "shape", ())) for atom in atoms)


def _operation(
    equation: Any,
    operands: Sequence[Reaches],
    results: Sequence[Reaches],
    scope: str,
    turns: int,
) -> Operation:
    name = equation.primitive.name
    marks = re.findall(rf"{_MARK}(\d+)", scope)
    tail = re.split(rf"{_MARK}\d+", scope)[-1]
    names = [part for part in tail.split("/") if part.isidentifier()]
    inputs, outputs = _shapes(equation.invars), _shapes(equation.outvars)
    depends = sum(rows is not None for rows, _ in operands)
    own = str(equation.params.get("name", "")) if name == "name" else ""
    return Operation(
        primitive=name,
        call=int(marks[-1]) if marks else 0,
        input_shapes=inputs,
        output_shapes=outputs,
        output_dtype=getattr(equation.outvars[0].aval, "dtype", None),
        multiply_adds=turns * _multiply_adds(name, equation.params, inputs, outputs)
        if depends
        else 0,
        depends=depends,
        reaches=results[0] if results else _INDEPENDENT,
        axes=tuple(equation.params.get("axes", ())) if name.startswith("reduce_") else (),
        turns=turns,
        function=names[0] if names else "",
        marks=int(own.removeprefix(_MARK)) if own.startswith(_MARK) else None,
    )


def _multiply_adds(
    name: str,
    params: Mapping[str, Any],
    inputs: Sequence[tuple[int, ...]],
    outputs: Sequence[tuple[int, ...]],
) -> int:
    """Multiply-adds of a convolution or matrix product; padding counts as it is computed."""
    if name == "conv_general_dilated":
        numbers = params["dimension_numbers"]
        taps = math.prod(inputs[1]) // inputs[1][numbers.rhs_spec[0]]
        if math.prod(params["lhs_dilation"]) == 1:
            return math.prod(outputs[0]) * taps
        # Transposed: each input value meets each tap of each filter of its group once.
        filters = inputs[1][numbers.rhs_spec[0]] // params["feature_group_count"]
        window = taps // inputs[1][numbers.rhs_spec[1]]
        return math.prod(inputs[0]) * window * filters
    if name == "dot_general":
        (contract, _), _ = params["dimension_numbers"]
        return math.prod(outputs[0]) * math.prod(inputs[0][a] for a in contract)
    return 0
