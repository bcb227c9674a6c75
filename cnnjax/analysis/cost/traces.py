"""The operations of one application of a model, in order, each with the module that it belongs to.

A model is traced by shapes alone. Of operations that have one form for each platform, the general
form is read; the loops of `lax.scan` are read once for each of their turns.
"""

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
from cnnjax.analysis.cost.operations import (
    INDEPENDENT,
    MARK,
    Operation,
    Reaches,
    read_operation,
    shapes_of,
)
from cnnjax.analysis.cost.receptive_field import Reach
from cnnjax.analysis.cost.receptive_field_rules import propagate

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


@dataclass(frozen=True)
class Trace:
    """A model's application, read from shapes.

    Attributes:
        calls: the module calls, in the order in which they start.
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
            traced too, with axes 1 and 2 as rows and columns, as far as there are such axes.
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
        with jax.named_scope(f"{MARK}{index}"):
            # The scope marks each operation with the call that it belongs to.
            output = proceed()
        if not isinstance(output, jax.Array):
            return output
        if inputs and (known := layer_multiply_adds(module, inputs[0].shape, output.shape)):
            products[index] = known
        # The name marks the result, since the last operation may be that of an inner call.
        return ad_checkpoint.checkpoint_name(output, f"{MARK}{index}")

    with observe_calls(around) as calls:
        program = jax.make_jaxpr(lambda v, x: model.apply(v, x, **arguments))(variables, images)
    rank = len(images.shape)
    image = Reach.of_image(images.shape, 1), Reach.of_image(images.shape, 2 if rank > 3 else 1)
    inputs = [INDEPENDENT] * (len(program.jaxpr.invars) - 1) + [image]
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
    """Follows the dependence through a program and notes its operations.

    Returns:
        The dependence of the program's results.
    """
    known: dict[Any, Reaches] = dict(zip(program.invars, inputs, strict=True))
    known.update(dict.fromkeys(program.constvars, INDEPENDENT))

    def reaches_of(atom: Any) -> Reaches:
        return INDEPENDENT if isinstance(atom, Literal) else known[atom]

    for equation in program.eqns:
        operands = [reaches_of(atom) for atom in equation.invars]
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
            note(read_operation(equation, operands, results, inner_scope, turns))
        known.update(zip(equation.outvars, results, strict=True))
    return [reaches_of(atom) for atom in program.outvars]


def _general_branch(params: Mapping[str, Any]) -> Jaxpr | None:
    """Returns the branch for platforms without their own; None for conditions on data."""
    for branch, platforms in zip(
        params["branches"], params.get("branches_platforms") or (), strict=False
    ):
        if platforms is None:
            return branch.jaxpr
    return None


def _inner_program(params: Mapping[str, Any]) -> Jaxpr | None:
    # The parameter's name differs between primitives and between versions of JAX.
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
    """Follows what a loop carries from turn to turn; its operations are noted once, at the end."""
    body, length = equation.params["jaxpr"].jaxpr, equation.params["length"]
    # The operands are constants, carried values and stacks; the results are carried values and
    # stacks. A stack has one axis more outside of the loop than inside.
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
        # The last turn has the widest dependence.
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
    """Returns the dependence of an array each of whose elements depends on all of another."""
    rows, columns = (None if r is None else r.everywhere(shape) for r in reaches)
    return rows, columns


def _results(equation: Any, operands: Sequence[Reaches]) -> list[Reaches]:
    shapes = [variable.aval.shape for variable in equation.outvars]
    params = dict(equation.params, _shapes=shapes_of(equation.invars))
    rows, columns = (
        propagate(equation.primitive.name, params, [o[axis] for o in operands], shapes)
        for axis in (0, 1)
    )
    return list(zip(rows, columns, strict=True))
