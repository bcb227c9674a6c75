"""One primitive operation of a traced model: its cost, and the module that it belongs to."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cnnjax.analysis.cost.receptive_field import Reach

MARK = "call:"
"""Before the index of a module call, in the scopes and names by which a program refers to it."""

Reaches = tuple[Reach | None, Reach | None]
INDEPENDENT: Reaches = (None, None)
"""The dependence of what does not depend on the image, by rows and by columns."""


@dataclass(frozen=True)
class Operation:
    """One primitive operation of a traced model.

    Attributes:
        primitive: the name of the primitive.
        call: index of the innermost module call that it belongs to.
        input_shapes: shapes of the operands, with the batch.
        output_shapes: shapes of the results, with the batch.
        output_dtype: dtype of the first result.
        multiply_adds: of convolutions and matrix products that depend on the image, 0 for others.
        depends: how many operands depend on the image.
        reaches: the dependence of the first result on the rows and the columns of the image.
        turns: how often a loop repeats it; `multiply_adds` counts every turn.
        axes: the axes that a reduction removes.
        function: the named scope around it within its module, such as "max_pool".
        marks: the call whose result this is; None for other operations.
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


def read_operation(
    equation: Any,
    operands: Sequence[Reaches],
    results: Sequence[Reaches],
    scope: str,
    turns: int,
) -> Operation:
    """Returns an equation of a program as an operation.

    Args:
        equation: the equation.
        operands: the dependence of its operands on the image.
        results: the dependence of its results.
        scope: the named scopes around it, from the outermost to the innermost.
        turns: how often loops repeat it.
    """
    name = equation.primitive.name
    marks = re.findall(rf"{MARK}(\d+)", scope)
    # Scopes within the innermost module, without those of transformations such as "jit(...)".
    tail = re.split(rf"{MARK}\d+", scope)[-1]
    names = [part for part in tail.split("/") if part.isidentifier()]
    inputs, outputs = shapes_of(equation.invars), shapes_of(equation.outvars)
    depends = sum(rows is not None for rows, _ in operands)
    own = str(equation.params.get("name", "")) if name == "name" else ""
    return Operation(
        primitive=name,
        call=int(marks[-1]) if marks else 0,
        input_shapes=inputs,
        output_shapes=outputs,
        output_dtype=getattr(equation.outvars[0].aval, "dtype", None),
        # What does not depend on the image need not be computed for each image.
        multiply_adds=turns * _multiply_adds(name, equation.params, inputs, outputs)
        if depends
        else 0,
        depends=depends,
        reaches=results[0] if results else INDEPENDENT,
        axes=tuple(equation.params.get("axes", ())) if name.startswith("reduce_") else (),
        turns=turns,
        function=names[0] if names else "",
        marks=int(own.removeprefix(MARK)) if own.startswith(MARK) else None,
    )


def shapes_of(atoms: Sequence[Any]) -> tuple[tuple[int, ...], ...]:
    """Returns the shapes of an equation's operands or results.

    Args:
        atoms: variables and constants of a program; a token, for example, counts as a scalar.
    """
    return tuple(tuple(getattr(atom.aval, "shape", ())) for atom in atoms)


def _multiply_adds(
    name: str,
    params: Mapping[str, Any],
    inputs: Sequence[tuple[int, ...]],
    outputs: Sequence[tuple[int, ...]],
) -> int:
    """Counts multiply-adds of a convolution or matrix product; products with padding count."""
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
